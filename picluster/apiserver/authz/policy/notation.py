"""How the default roles are written down: a name, then its rules, one a line.

    system:kube-dns
        list watch | core | endpoints services
    system:discovery
        get | /livez /readyz

A rule is ``verbs | groups | resources`` with ``| names`` where it is limited to some, or ``verbs | URLs``. The group
``core`` is the empty one. A line that ends with ``,`` goes on in the next. As upstream's builder has it, every list is
sorted.
"""

from __future__ import annotations

from picluster.api.types import Object

CORE = "core"


def read(text: str) -> dict[str, list[Object]]:
    """The rules of each role, by name."""
    roles: dict[str, list[Object]] = {}
    rules: list[Object] = []
    for line in text.replace(",\n", " ").splitlines():
        if not line.strip():
            continue
        if line[0] != " ":
            rules = roles[line.strip()] = []
        else:
            rules.append(_rule(line))
    return roles


def _rule(line: str) -> Object:
    verbs, second, *rest = [sorted(part.split()) for part in line.split("|")]
    if not rest:
        return {"verbs": verbs, "nonResourceURLs": second}
    rule: Object = {
        "verbs": verbs,
        "apiGroups": sorted("" if group == CORE else group for group in second),
        "resources": rest[0],
    }
    if len(rest) > 1:
        rule["resourceNames"] = rest[1]
    return rule
