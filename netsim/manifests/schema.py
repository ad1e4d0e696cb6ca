"""The structure of objects: wrong JSON types and unknown fields, in the words of Kubernetes' decoder."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from netsim.manifests import kinds
from netsim.manifests.goformat import go_number, go_type, value_word
from netsim.manifests.hints import field_hint
from netsim.manifests.objects import spell

Path = tuple[str | int, ...]
MAX_DEPTH = 100
"""How deep objects are walked; only JSON schemas in CustomResourceDefinitions nest without a bound."""

QUANTITY = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
_BASE64 = r"^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$"
_INT32, _INT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake of structure: `reason` is BadType or UnknownField; `path` is that of the value, `code` its type."""

    path: Path
    message: str
    reason: str
    hint: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class _GoField:
    """A field as Go's decoder names it: the innermost struct, then names from the top without indices and map keys."""

    struct: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.struct}.{'.'.join(self.names)}"


_CRD_TYPES = {"s": "string", "b": "boolean", "i": "integer", "l": "integer", "[": "array"}


def _in_body(code: str, value: Any, path: Path) -> str:
    """Return the message of a CustomResourceDefinition's schema for a wrong type."""
    word = {"bool": "boolean"}.get(value_word(value), value_word(value))
    where = spell(path)
    return f'Invalid value: "{word}": {where} in body must be of type {_CRD_TYPES.get(code[0], "object")}: "{word}"'


def findings(struct: str, data: Mapping[str, Any]) -> list[Finding]:
    """Return every wrong type and unknown field of an object, in the order of its text."""
    found = list(_struct(struct, data, (), ()))
    return [_as_crd(finding, data) for finding in found] if struct.startswith("gateway.") else found


def _as_crd(finding: Finding, data: Mapping[str, Any]) -> Finding:
    if finding.reason != "BadType":
        return finding
    value: Any = data
    for part in finding.path:
        value = value[part]
    return replace(finding, message=_in_body(finding.code, value, finding.path))


def strict_path(path: Path) -> str:
    """Return a path as strict decoding spells it: map keys and dotted names follow a dot too."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def checker(struct: str) -> Callable[[object], bool]:
    """Return a fast test whether an object of a struct has neither wrong types nor unknown fields (in Rust)."""
    import jsonschema_rs

    schema = {"$ref": f"#/$defs/{struct}", "$defs": {name: _object_schema(name) for name in sorted(_closure(struct))}}
    validator = jsonschema_rs.Draft202012Validator(schema)
    return validator.is_valid


def _struct(struct: str, data: Mapping[str, Any], path: Path, names: tuple[str, ...]) -> Iterator[Finding]:
    fields = kinds.table().structs[struct]
    name = struct.rpartition(".")[2]
    for key, value in data.items():
        code = fields.get(key)
        here = (*path, key)
        if code is None:
            yield Finding(here, f'unknown field "{strict_path(here)}"', "UnknownField", field_hint(struct, path, key))
        elif value is not None:
            yield from _value(code, value, here, _GoField(name, (*names, key)))


def _value(code: str, value: Any, path: Path, place: _GoField) -> Iterator[Finding]:
    """Yield what is wrong with a value of type *code*."""
    if value is None or len(path) > MAX_DEPTH:
        return
    match code[0]:
        case "@" if isinstance(value, dict):
            yield from _struct(code[1:], value, path, place.names)
        case "[" if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _value(code[1:], item, (*path, index), place)
        case "{" if isinstance(value, dict):
            for key, item in value.items():
                yield from _value(code[1:], item, (*path, key), place)
        case _:
            if problem := _leaf(code, value, place):
                yield Finding(path, problem, "BadType", _type_hint(code, value, path), code)


def _leaf(code: str, value: Any, place: _GoField) -> str:
    """Return what is wrong with a scalar, or with a collection where another type belongs; "" if nothing."""
    kind = code[0]
    match value:
        case bool():
            fits = kind in "b*"
        case int():
            fits = _integer_fits(kind, value)
        case float():
            fits = kind in "fq*" or (kind in "ilx" and value.is_integer() and _integer_fits(kind, int(value)))
        case str():
            if kind in "qtTy":
                return _text_form(kind, value)
            fits = kind in "sx*"
        case _:
            fits = kind == "*" or (kind == "o" and isinstance(value, dict))
    return "" if fits else _unmarshal(code, value, place)


def _integer_fits(kind: str, value: int) -> bool:
    low, high = _INT64 if kind == "l" else _INT32
    return kind in "fq*" or (kind in "ilx" and low <= value <= high)


def _unmarshal(code: str, value: Any, place: _GoField) -> str:
    """Return encoding/json's message: the innermost struct, the field names from the top, the Go type."""
    if code == "q":
        return f"quantities must match the regular expression '{QUANTITY}'"
    number = f" {go_number(value)}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    word = value_word(value) + (number if code[0] in "ilxf" else "")
    return f"json: cannot unmarshal {word} into Go struct field {place} of type {go_type(code)}"


def _text_form(kind: str, value: str) -> str:
    """Return what is wrong with a text that Go decodes into something else."""
    if kind == "q":
        return "" if re.match(QUANTITY, value) else f"quantities must match the regular expression '{QUANTITY}'"
    if kind == "y":
        return _base64_problem(value)
    layout = "2006-01-02T15:04:05Z07:00" if kind == "t" else "2006-01-02T15:04:05.000000Z07:00"
    return "" if re.match(_TIME, value) else f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'


def _base64_problem(value: str) -> str:
    text = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        bad = re.search(r"[^A-Za-z0-9+/]", text.rstrip("="))
        return f"illegal base64 data at input byte {bad.start() if bad else len(text) // 4 * 4}"
    return ""


def _type_hint(code: str, value: Any, path: Path) -> str:
    """Return how the value would have to be written, where that is clear."""
    match code[0], value:
        case "s", dict() if path[-1] in ("matchLabels", "matchExpressions"):
            return f"this selector has no {path[-1]}: write the labels themselves here"
        case "s", bool():
            return f"YAML reads this as the boolean {str(value).lower()}; put it in quotes to mean text"
        case "s", int() | float():
            return "put it in quotes to mean text"
        case ("i" | "l", str()) if value.isascii() and value.isdigit() and len(value) < 20:
            return f"write {value} without quotes"
        case ("b", str()) if value.lower() in ("true", "false"):
            return f"write {value.lower()} without quotes"
        case "[", dict():
            return "a list belongs here: start each item with -"
        case "[", _:
            return "a list belongs here"
        case "@" | "{", list():
            return "one mapping belongs here, not a list: remove the -"
        case "@" | "{", _:
            return "a mapping belongs here"
        case _:
            return ""


def _closure(struct: str) -> set[str]:
    structs = kinds.table().structs
    seen: set[str] = set()
    todo = [struct]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [code.partition("@")[2] for code in structs[name].values() if "@" in code]
    return seen


@cache
def _object_schema(struct: str) -> dict[str, Any]:
    properties = {field: _schema(code) for field, code in kinds.table().structs[struct].items()}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _schema(code: str) -> dict[str, Any]:
    """Return the JSON schema of a type; null is allowed everywhere, as Go's decoder ignores it."""
    match code[0]:
        case "@":
            return {"$ref": f"#/$defs/{code[1:]}"}
        case "[":
            return {"type": ["array", "null"], "items": _schema(code[1:])}
        case "{":
            return {"type": ["object", "null"], "additionalProperties": _schema(code[1:])}
        case "i" | "l":
            low, high = _INT32 if code[0] == "i" else _INT64
            return {"type": ["integer", "null"], "minimum": low, "maximum": high}
        case "x":
            return {"type": ["string", "integer", "null"], "minimum": _INT32[0], "maximum": _INT32[1]}
        case other:
            return _LEAVES[other]


_LEAVES: Mapping[str, dict[str, Any]] = {
    "s": {"type": ["string", "null"]},
    "b": {"type": ["boolean", "null"]},
    "f": {"type": ["number", "null"]},
    "q": {"type": ["string", "number", "null"], "pattern": QUANTITY},
    "t": {"type": ["string", "null"], "pattern": _TIME},
    "T": {"type": ["string", "null"], "pattern": _TIME},
    "y": {"type": ["string", "null"], "pattern": _BASE64},
    "o": {"type": ["object", "null"]},
    "*": {},
}
