"""Defaults of MutatingAdmissionPolicies."""

from __future__ import annotations

from picluster.api.defaults.admission import policy

apply = policy
