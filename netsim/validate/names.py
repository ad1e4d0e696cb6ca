"""The forms of names, labels, ports and such that the API server enforces, with its own words.

Each function returns the reasons why a value is not of the form, none if it is. Source: apimachinery's validation
package as of v1.36 (RFC 1123, RFC 6335); texts recorded in tests/conformance/api/validation.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_ENV = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
_WILDCARD_TEXT = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    rf"regex used for validation is '\*\.{_SUBDOMAIN}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE}')"
)
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    f"validation is '{_PERCENT}')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    f"or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)
_HEADER_TEXT = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    f"validation is '{_HEADER}')"
)
_PATH_TEXT = f"Invalid path (regex used for validation is '{_PATH}')"

_IS_LABEL = re.compile(_LABEL)
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_IS_QUALIFIED = re.compile(_QUALIFIED)
_IS_SEARCH = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*")
_IS_LABEL_VALUE = re.compile(_LABEL_VALUE)


def dns_label(value: str) -> list[str]:
    """RFC 1123 label: at most 63 characters, lower case, no dots; a leading digit is fine."""
    reasons = ["must be no more than 63 characters"] if len(value.encode()) > 63 else []
    if not _IS_LABEL.fullmatch(value):
        reasons.append("must not contain dots" if _IS_SUBDOMAIN.fullmatch(value) else _LABEL_TEXT)
    return reasons


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: labels joined by dots, at most 253 characters."""
    reasons = ["must be no more than 253 characters"] if len(value.encode()) > 253 else []
    return reasons if _IS_SUBDOMAIN.fullmatch(value) else [*reasons, _SUBDOMAIN_TEXT]


def wildcard_subdomain(value: str) -> list[str]:
    """`*.` and a subdomain."""
    reasons = ["must be no more than 253 characters"] if len(value.encode()) > 253 else []
    fits = value.startswith("*.") and _IS_SUBDOMAIN.fullmatch(value[2:])
    return reasons if fits else [*reasons, _WILDCARD_TEXT]


def search_domain(value: str) -> list[str]:
    """A domain of a search list: a subdomain that may hold underscores; a final dot and `.` alone are fine."""
    if value == ".":
        return []
    domain = value.removesuffix(".")
    return [] if _IS_SEARCH.fullmatch(domain) and len(domain) <= 253 else dns_subdomain(domain)


def qualified_name(value: str) -> list[str]:
    """`[prefix/]name`: label keys, annotation keys, condition types, resource names."""
    parts = value.split("/")
    if len(parts) > 2:
        example = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_QUALIFIED_TEXT} {example}"]
    reasons = []
    if len(parts) == 2:
        prefix = dns_subdomain(parts[0]) if parts[0] else ["must be non-empty"]
        reasons += [f"prefix part {reason}" for reason in prefix]
    name = parts[-1]
    if not name:
        reasons.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        reasons.append("name part must be no more than 63 bytes")
    if not _IS_QUALIFIED.fullmatch(name):
        reasons.append(f"name part {_QUALIFIED_TEXT}")
    return reasons


def label_value(value: str) -> list[str]:
    """A label's value: empty, or at most 63 bytes."""
    reasons = ["must be no more than 63 bytes"] if len(value.encode()) > 63 else []
    return reasons if _IS_LABEL_VALUE.fullmatch(value) else [*reasons, _LABEL_VALUE_TEXT]


def port_number(value: int) -> list[str]:
    """1 to 65535."""
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name(value: str) -> list[str]:
    """A service name of RFC 6335: at most 15 of `a-z0-9-`, at least one letter."""
    reasons = []
    if len(value.encode()) > 15:
        reasons.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", value):
        reasons.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        reasons.append("must contain at least one letter (a-z)")
    if "--" in value:
        reasons.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        reasons.append("must not begin or end with a hyphen")
    return reasons


def port(value: int | str) -> list[str]:
    """A port number or name."""
    return port_name(value) if isinstance(value, str) else port_number(value)


def percent(value: str) -> list[str]:
    """`25%`."""
    return [] if re.fullmatch(_PERCENT, value) else [_PERCENT_TEXT]


def path_segment(value: str) -> list[str]:
    """A name that may stand in a URL's path: kinds, RBAC names."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{char}'" for char in ("/", "%") if char in value]


def environment_name(value: str) -> list[str]:
    """A name of an environment variable: printable ASCII without `=`."""
    if not value:
        return ["environment variable name must be non-empty"]
    fits = all(" " <= char <= "~" and char != "=" for char in value)
    text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    return [] if fits else [text]


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret: at most 253 of letters, digits, `-_.`; not `.`, nor beginning with `..`."""
    reasons = ["must be no more than 253 characters"] if len(value.encode()) > 253 else []
    if not re.fullmatch(_CONFIG_KEY, value):
        reasons.append(_CONFIG_KEY_TEXT)
    if value == ".":
        reasons.append("must not be '.'")
    elif value == "..":
        reasons.append("must not be '..'")
    elif value.startswith(".."):
        reasons.append("must not start with '..'")
    return reasons


def header_name(value: str) -> list[str]:
    """A name of an HTTP header."""
    return [] if re.fullmatch(_HEADER, value) else [_HEADER_TEXT]


def http_path(value: str) -> list[str]:
    """What stands behind the slash of `acme.io/foo`, as an IngressClass names its controller."""
    return [] if re.fullmatch(_PATH, value) else [_PATH_TEXT]
