"""Label and field selectors: both string grammars, LabelSelector objects, compiled matchers.

A bad selector raises ``errors.bad_request`` with apimachinery's wording. Semantics are those of
``k8s.io/apimachinery/pkg/labels`` and ``.../fields``: ``!=`` and ``notin`` match what lacks the key.
"""

from picluster.api.selectors.fields import FieldSelector, field_requirements, field_values, parse_fields
from picluster.api.selectors.labels import (
    EVERYTHING,
    NOTHING,
    LabelSelector,
    Requirement,
    from_map,
    from_object,
    parse_labels,
)

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "FieldSelector",
    "LabelSelector",
    "Requirement",
    "field_requirements",
    "field_values",
    "from_map",
    "from_object",
    "parse_fields",
    "parse_labels",
]
