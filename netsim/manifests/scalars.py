"""Plain YAML scalars as kubectl reads them: YAML 1.1 as go-yaml v2 resolves it, then what its JSON form keeps."""

from __future__ import annotations

import base64
import binascii
import math
import re

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_JSON = re.compile(r"\.(nan|NaN|NAN)|[-+]?\.(inf|Inf|INF)")
_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TIMESTAMP = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([Tt ]|$)")
_LONGEST_INT = 80
"""Characters that an integer of 64 bits may need: sign, prefix and binary digits, with some leading zeros."""
_TAG = "tag:yaml.org,2002:"
_RESOLVABLE = frozenset(_TAG + name for name in ("str", "bool", "int", "float", "null", "timestamp"))


class BadScalar(ValueError):
    """A scalar that has no JSON form or does not fit its explicit tag; the text is kubectl's."""


def plain(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Booleans are those of YAML 1.1 (`y`, `no`, `On`), integers may be `0x`, `0o`, `0b` or octal by a leading zero,
    `_` is skipped in numbers, base 60 (`22:22`) and timestamps stay text. An integral float is an integer, because
    kubectl sends `8e1` as 80.

    Raises:  BadScalar for NaN and infinities, which JSON cannot say.
    Source:  go-yaml v2 resolve.go; recorded in tests/conformance/api/validation (yaml11, octal, exponent).
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not (text[0] in "+-." or text[0].isdigit()):
        return text
    if _NOT_JSON.fullmatch(text):
        raise BadScalar(f"json: unsupported value: {_go_float(text)}")
    if _TIMESTAMP.match(text):
        return text
    return _number(text.replace("_", "") if text[0] != "." else text, text)


def tagged(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with an explicit tag; tags that kubectl does not know leave text.

    Raises:  BadScalar when the text is not of the tag's type.
    """
    if tag == _TAG + "binary":
        return _binary(text)
    if tag not in _RESOLVABLE or tag == _TAG + "str":
        return text
    value = plain(text)
    short = "!!" + tag.removeprefix(_TAG)
    if short == _kind(value, text) or (short == "!!float" and _kind(value, text) == "!!int"):
        return value
    raise BadScalar(f"yaml: cannot decode {_kind(value, text)} `{text}` as a {short}")


def key_text(value: Scalar) -> str:
    """Return a mapping key as the text that it becomes in JSON.

    Raises:  BadScalar for null, which kubectl refuses as a key.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case _:
            raise BadScalar("unsupported map key of type: <nil>")


def _number(digits: str, text: str) -> Scalar:
    if len(digits) <= _LONGEST_INT and (whole := _INT.fullmatch(digits)):
        value = _integer(whole)
        # Beyond 64 bits go-yaml falls back to a float.
        if -(2**63) <= value < 2**64:
            return value
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        # Go's ParseFloat calls what is beyond a float's range an error, so it stays text.
        return text if math.isinf(real) else _integral(real)
    return text


def _integer(match: re.Match[str]) -> int:
    sign, hexadecimal, binary, octal, decimal = match.groups()
    value = next(int(part, base) for part, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)) if part)
    return -value if sign == "-" else value


def _integral(value: float) -> Scalar:
    # encoding/json writes floats below 1e21 without an exponent, so an integral one is read back as an integer.
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _go_float(text: str) -> str:
    return "NaN" if "n" in text[1:2].lower() else ("-Inf" if text[0] == "-" else "+Inf")


def _kind(value: Scalar, text: str) -> str:
    match value:
        case bool():
            return "!!bool"
        case int():
            return "!!int" if _INT.fullmatch(text.replace("_", "")) else "!!float"
        case float():
            return "!!float"
        case None:
            return "!!null"
        case _:
            return "!!timestamp" if _TIMESTAMP.match(text) else "!!str"


def _binary(text: str) -> str:
    try:
        return base64.b64decode(text, validate=False).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise BadScalar("yaml: !!binary value contains invalid base64 data") from None
