"""Custom resources: what a CustomResourceDefinition makes the server serve.

``Definitions`` follows the definitions in the watch cache: ``definition`` reads one into rows of the catalog and a
``CustomKind`` for each version, ``conditions`` (pure) says which names it gets and what its status is, ``cleanup``
removes its objects before it goes. ``conversion`` is between versions, ``columns`` the printer, ``publish`` (pure) the
OpenAPI. The verbs themselves are those of every resource; what is special they ask of the kind.
Source: ``k8s.io/apiextensions-apiserver``.
"""
