"""Structural schemas: what a CustomResourceDefinition says about its objects, and what that means for one. PURE.

A schema is the plain dict of ``openAPIV3Schema``. ``Schema`` reads one version of one definition and is the way in:
``prune``, ``default``, ``coerce``, and ``create_failures``, ``update_failures``, ``status_failures`` for an object;
``shape`` and ``rules`` judge the schemas themselves. Nothing in here knows of requests or of storage.
Sources: ``k8s.io/apiextensions-apiserver/pkg/apiserver/{schema,validation}``, ``k8s.io/kube-openapi/pkg/validation``,
KEP-1693 (structural schemas), KEP-2876 (rules), KEP-4008 (ratcheting).
"""

from picluster.api.structural.schema import Schema

__all__ = ["Schema"]
