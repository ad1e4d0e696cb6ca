"""Which columns kubectl shows of which kind, and how it writes each cell (pkg/printers/internalversion v1.36)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from netsim.report.tables import NONE, UNKNOWN, Column

Object = Mapping[str, Any]


def get(item: Any, *path: str) -> Any:
    """Return the value at a path of keys, None where there is none."""
    for key in path:
        if not isinstance(item, Mapping):
            return None
        item = item.get(key)
    return item


def at(*path: str, default: str = NONE) -> Callable[[Object], str]:
    """Return a cell that shows the text at a path."""

    def cell(item: Object) -> str:
        value = get(item, *path)
        return default if value in (None, "", []) else spelled(value)

    return cell


def spelled(value: Any) -> str:
    """Return a value as kubectl prints it: booleans in lower case, lists joined with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(spelled, value)) if isinstance(value, list) else str(value)


def listed(items: Iterable[str], *, most: int = 3, rest: str = " + {} more...") -> str:
    """Return items joined with commas, those beyond *most* only counted."""
    found = list(items)
    return (",".join(found[:most]) + (rest.format(len(found) - most) if len(found) > most else "")) or NONE


def labels(value: Any) -> str:
    """Return a selector's or label map's pairs."""
    pairs = sorted(value.items()) if isinstance(value, Mapping) else ()
    return ",".join(f"{key}={text}" if text else key for key, text in pairs) or NONE


def label_selector(value: Any) -> str:
    """Return a LabelSelector as metav1.FormatLabelSelector writes it."""
    words = [f"{key}={text}" for key, text in sorted((get(value, "matchLabels") or {}).items())]
    for item in sorted(get(value, "matchExpressions") or (), key=lambda e: str(get(e, "key"))):
        key, values = str(get(item, "key")), ",".join(sorted(map(str, get(item, "values") or ())))
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
        words.append(forms.get(str(get(item, "operator")), key))
    return ",".join(words) or NONE


NAME = Column("NAME", at("metadata", "name", default=""))
# netsim has no clock: only what the input itself says could be counted, and kubectl writes this where it cannot tell.
AGE = Column("AGE", lambda item: UNKNOWN)


def of(template: bool, *keys: str) -> Callable[[Object], str]:
    """Return a cell of the containers' names or images, of a pod template or of a pod itself."""
    path = ("spec", "template", "spec") if template else ("spec",)

    def cell(item: Object) -> str:
        return ",".join(str(get(c, keys[0]) or "") for c in get(item, *path, "containers") or ()) or NONE

    return cell


WORKLOAD_WIDE = (
    Column("CONTAINERS", of(True, "name"), wide=True),
    Column("IMAGES", of(True, "image"), wide=True),
)
SELECTOR = Column("SELECTOR", lambda item: label_selector(get(item, "spec", "selector")), wide=True)


def count(*path: str) -> Callable[[Object], str]:
    """Return a cell of a number that is 0 where absent."""
    return at(*path, default="0")


def ratio(ready: tuple[str, ...], wanted: tuple[str, ...], default: int = 1) -> Callable[[Object], str]:
    """Return a cell `READY/WANTED`."""

    def cell(item: Object) -> str:
        want = get(item, *wanted)
        return f"{get(item, *ready) or 0}/{default if want is None else want}"

    return cell


def size(key: str) -> Callable[[Object], str]:
    """Return a cell that counts the entries of a map."""
    return lambda item: str(len(get(item, key) or ()) + (len(get(item, "binaryData") or ()) if key == "data" else 0))


MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def modes(item: Object) -> str:
    """Return access modes as kubectl abbreviates them."""
    return ",".join(MODES.get(str(mode), str(mode)) for mode in get(item, "spec", "accessModes") or ())
