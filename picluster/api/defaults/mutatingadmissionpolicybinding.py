"""Defaults of MutatingAdmissionPolicyBindings."""

from __future__ import annotations

from picluster.api.defaults.admission import binding

apply = binding
