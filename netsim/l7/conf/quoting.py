"""Values in an nginx configuration: quoted so that none can add a directive, close a block or expand a variable.

Source: nginx src/core/ngx_conf_file.c (ngx_conf_read_token): inside double quotes only `"` ends the word and a
backslash
escapes; a parameter longer than 4096 bytes is an error. `$` has no escape: a variable holding it stands in its place.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from iptables_gen.values import decimal
from netsim.l7.nginx.variables import VARIABLE, known_variable
from netsim.l7.pcre import compile_pattern

LONGEST: Final = 1800
DOLLAR: Final = "${literal_dollar}"


class Refused(ValueError):
    """A value that is not written; the text says why."""


def quote(value: str) -> str:
    """Return one configuration word in double quotes; raise Refused for control characters and for overlong values."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise Refused("it has control characters")
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST or not _encodable(value):
        raise Refused(f"it is longer than {LONGEST} bytes or not UTF-8")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encodable(value: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value)


def literal(value: str) -> str:
    """Return text for a word in which nginx expands variables: every `$` stands for itself."""
    return value.replace("$", DOLLAR)


def with_variables(value: str, groups: int, names: dict[str, int] | None = None) -> str:
    """Return text whose known variables and captures expand and whose other `$` words are empty, as nginx would have
    them.

    `groups` is how many captures the pattern has; *names* are its named groups by number, which become numbers.
    """

    def spell(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if names and names.get(name, 10) < 10:
            return f"${names[name]}"
        if name.isdigit():
            number = decimal(name)
            return f"${name}" if number is not None and number <= groups else ""
        return f"${{{name}}}" if known_variable(name) else ""

    parts: list[str] = []
    end = 0
    for found in VARIABLE.finditer(value):
        parts += (literal(value[end : found.start()]), spell(found))
        end = found.end()
    return "".join((*parts, literal(value[end:])))


_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,126}}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_COOKIE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def host_name(value: str) -> str:
    """Return a host name (also `*.name` and `_`); raise Refused for anything else."""
    if len(value) > 253 or not _NAME.fullmatch(value.removeprefix("*.")):
        raise Refused("it is no host name")
    return value


def header_variable(name: str) -> str:
    """Return `$http_…` of a header; raise Refused for a name that is no header name."""
    if not _HEADER.fullmatch(name):
        raise Refused("it is no header name")
    return "$http_" + name.lower().replace("-", "_")


def cookie_name(name: str) -> str:
    """Return a cookie's name; raise Refused for a name that is none."""
    if not _COOKIE.fullmatch(name):
        raise Refused("it is no cookie name")
    return name


def server_address(endpoint: str) -> str:
    """Return `address:port` of an upstream server; raise Refused for anything else."""
    host, colon, port = endpoint.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise Refused("it is no address") from error
    number = decimal(port) or 0
    if not colon or not 0 < number < 65536:
        raise Refused("it has no port")
    return f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"


def identifier(text: str, limit: int = 120) -> str:
    """Return text usable as an upstream's, zone's or variable's name: other characters become `_`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:limit]


def comment(text: str) -> str:
    """Return text that stays inside one comment line."""
    kept = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(character if " " <= character <= "~" else "?" for character in kept)[:300]


_ESCAPES: Final = frozenset("dDwWsSbBAzZntrfvx0123456789")
_GROUP: Final = re.compile(r"\(\?(?::|=|!|<=|<!|i:|P?<([A-Za-z_][A-Za-z0-9_]{0,30})>)")


def portable(pattern: str) -> str:
    """Return a regular expression that PCRE compiles as Python does, named groups unnamed; raise Refused for others.

    Named groups would define nginx variables, so only their numbers remain. Refused are: what Python cannot compile,
    escapes and group forms that the two read differently, repeats above 65535 and very deep nesting.
    """
    if len(pattern) > LONGEST or not pattern.isprintable():
        raise Refused("it is too long or not printable")
    out: list[str] = []
    depth, position = 0, 0
    while position < len(pattern):
        piece = _piece(pattern, position)
        depth += piece.startswith("(") - (piece == ")")
        out.append("(" if _named(piece) else piece)
        position += len(piece)
        if depth > 100:
            raise Refused("its groups are nested too deeply")
    if any(int(number) > 65535 for number in re.findall(r"[{,]([0-9]{1,30})(?=[,}])", pattern)):
        raise Refused("it repeats more than 65535 times")
    if compile_pattern(pattern) is None:
        raise Refused("it is no regular expression")
    return "".join(out)


def _named(piece: str) -> bool:
    found = _GROUP.fullmatch(piece)
    return found is not None and found[1] is not None


def _piece(pattern: str, start: int) -> str:
    character = pattern[start]
    if character == "\\":
        escaped = pattern[start + 1 : start + 2]
        if not escaped or (escaped.isalnum() and escaped not in _ESCAPES) or not escaped.isascii():
            raise Refused(f"escape \\{escaped} means something else elsewhere")
        return f"\\{escaped}"
    if character == "[":
        return _bracket(pattern, start)
    if pattern.startswith("(*", start):
        raise Refused("it has a verb")
    if pattern.startswith("(?", start):
        found = _GROUP.match(pattern, start)
        if found is None:
            raise Refused("it has a group form that is not supported")
        return found[0]
    return character


_BRACKET: Final = re.compile(r"\[\^?\]?(?:\\[dDwWsStnrfv]|\\[^A-Za-z0-9]|\[:[a-z]+:\]|[^\]\\\[])*\]")
_POSIX: Final = re.compile(r"\[:([a-z]+):\]")
_CLASSES: Final = frozenset(["alpha", "digit", "alnum", "upper", "lower", "space", "punct", "xdigit", "word", "blank"])


def _bracket(pattern: str, start: int) -> str:
    found = _BRACKET.match(pattern, start)
    if found is None or not all(name in _CLASSES for name in _POSIX.findall(found[0])):
        raise Refused("it has a character class that is not supported")
    return found[0]


def group_names(pattern: str) -> tuple[int, dict[str, int]]:
    """Return how many groups a pattern has and its named ones by number."""
    compiled = compile_pattern(pattern)
    return (compiled.groups, dict(compiled.groupindex)) if compiled else (0, {})
