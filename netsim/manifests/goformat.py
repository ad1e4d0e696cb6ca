"""Values and types as Go's encoding/json and Kubernetes' error messages spell them."""

from __future__ import annotations

import json
from typing import Any

import orjson

_GO_TYPES = {
    "s": "string",
    "b": "bool",
    "i": "int32",
    "l": "int64",
    "f": "float64",
    "x": "int32",
    "q": "resource.Quantity",
    "t": "string",
    "T": "string",
    "y": "[]uint8",
    "o": "map[string]interface {}",
    "*": "interface {}",
}
_HTML = (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def go_type(code: str) -> str:
    """Return the Go type of a type in the table's notation: `[@core.v1.ServicePort` is `[]v1.ServicePort`."""
    match code[0]:
        case "[":
            return "[]" + go_type(code[1:])
        case "{":
            return "map[string]" + go_type(code[1:])
        case "@":
            return ".".join(code[1:].split(".")[-2:])
        case "s" if ":" in code:
            return code.partition(":")[2]
        case other:
            return _GO_TYPES[other]


def value_word(value: Any) -> str:
    """Return encoding/json's word for a JSON value's kind."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


def go_number(value: int | float) -> str:
    """Return a number as Go writes it in JSON."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


_QUOTED = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def go_quote(text: str) -> str:
    """Return a text as Go's `%q` writes it."""
    return '"' + "".join(_QUOTED.get(char) or _escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_json(value: Any) -> str:
    """Return a value as encoding/json writes it: compact, map keys sorted, `<`, `>` and `&` escaped."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # orjson writes no integer beyond 64 bits.
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    for char, escaped in _HTML:
        text = text.replace(char, escaped)
    return text
