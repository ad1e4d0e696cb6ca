"""What was probably meant by a field that an object does not have."""

from __future__ import annotations

from collections import deque

from netsim.manifests import kinds
from netsim.manifests.objects import spell
from netsim.manifests.suggestions import nearest

Path = tuple[str | int, ...]
_DEPTH = 5

_RENAMED = {
    ("networking.v1.IngressSpec", "backend"): "renamed defaultBackend in networking.k8s.io/v1",
    ("networking.v1.IngressBackend", "serviceName"): "service.name in networking.k8s.io/v1",
    ("networking.v1.IngressBackend", "servicePort"): "service.port.number or service.port.name in networking.k8s.io/v1",
    ("discovery.v1.Endpoint", "topology"): "nodeName and zone in discovery.k8s.io/v1",
    ("core.v1.ServicePort", "containerPort"): 'did you mean "targetPort"?',
}
"""Fields that went elsewhere between versions: nothing in their spelling tells where."""


def field_hint(struct: str, path: Path, key: str) -> str:
    """Return a hint for the unknown field *key* of a struct found at *path*, "" when there is none.

    In order: a known renaming, the nearest name beside it, the same name further in (wrong indentation).
    """
    if (struct, key) in _RENAMED:
        return _RENAMED[struct, key]
    if struct.endswith(".LabelSelector"):
        return f"labels to select by go below matchLabels: {spell((*path, 'matchLabels', key))}"
    if beside := nearest(key, kinds.table().structs[struct]):
        return f'did you mean "{beside}"?'
    if below := _below(struct, key):
        return f"it belongs to {spell((*path, *below))}"
    return ""


def _below(struct: str, key: str) -> Path:
    """Return the shortest path below a struct to a field of that name, () when there is none near."""
    structs = kinds.table().structs
    queue: deque[tuple[str, tuple[str, ...]]] = deque([(struct, ())])
    seen = {struct}
    while queue:
        name, path = queue.popleft()
        if path and key in structs[name]:
            return (*path, key)
        for field, code in structs[name].items():
            inner = code.lstrip("[{").removeprefix("@") if "@" in code else ""
            if inner and inner not in seen and len(path) < _DEPTH and field not in ("metadata", "status"):
                seen.add(inner)
                queue.append((inner, (*path, field)))
    return ()
