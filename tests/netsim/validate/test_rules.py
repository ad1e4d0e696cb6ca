"""Single rules, beyond what the recordings show: names, addresses, schedules, quantities, kinds of small checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from netsim.validate import addresses, cron, names
from netsim.validate.cause import At, Cause
from netsim.validate.registry import check_of, resource
from netsim.validate.resources import quantity


def causes(api_version: str, kind: str, data: dict[str, Any]) -> list[tuple[str, str]]:
    found: list[Cause] = list(check_of(api_version, kind)({"metadata": {"name": "a"}, **data}))
    return [(cause.at.text, cause.message) for cause in found if cause.severity == "error"]


@pytest.mark.parametrize(
    ("rule", "value", "want"),
    [
        (names.dns_label, "a", []),
        (names.dns_label, "0a-b9", []),
        (names.dns_label, "a.b", ["must not contain dots"]),
        (names.dns_label, "a" * 64, ["must be no more than 63 characters"]),
        (names.dns_subdomain, "a.b-c.9", []),
        (names.qualified_name, "a.b/c_D", []),
        (names.qualified_name, "/c", ["prefix part must be non-empty"]),
        (names.label_value, "", []),
        (names.label_value, "A_b.c-9", []),
        (names.port_name, "http", []),
        (names.port_name, "-a", ["must not begin or end with a hyphen"]),
        (names.port_number, 0, ["must be between 1 and 65535, inclusive"]),
        (names.path_segment, "..", ["may not be '..'"]),
        (names.path_segment, "a/b%", ["may not contain '/'", "may not contain '%'"]),
        (names.config_key, "..a", ["must not start with '..'"]),
        (names.config_key, "..", ["must not be '..'"]),
        (names.config_key, ".", ["must not be '.'"]),
        (names.search_domain, ".", []),
        (names.search_domain, "_sip._tcp.example.com.", []),
        (names.http_path, "b/c", []),
        (names.environment_name, "A-b.c d", []),
        (names.header_name, "X-A", []),
        (names.percent, "50%", []),
    ],
)
def test_forms_of_names(rule: Any, value: Any, want: list[str]) -> None:
    assert rule(value) == want


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (names.dns_label, "A"),
        (names.dns_label, ""),
        (names.dns_label, "a\n"),
        (names.dns_subdomain, "a..b"),
        (names.qualified_name, "a/b/c"),
        (names.qualified_name, ""),
        (names.label_value, "-a"),
        (names.label_value, "é"),
        (names.port_name, "A"),
        (names.wildcard_subdomain, "*"),
        (names.environment_name, "a=b"),
        (names.environment_name, ""),
        (names.header_name, "a b"),
        (names.percent, "5"),
        (names.http_path, "a b"),
        (names.search_domain, "a b"),
    ],
)
def test_forms_that_names_may_not_have(rule: Any, value: str) -> None:
    assert rule(value)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("10.0.0.1", ()),
        ("fd00::1", ()),
        ("FD00::0001", ()),
        ("10.0.0.01", ("must not have leading 0s",)),
        ("010.0.0.1", ("must not have leading 0s",)),
        ("::ffff:10.0.0.1", ("must not be an IPv4-mapped IPv6 address",)),
    ],
)
def test_strict_addresses(value: str, want: tuple[str, ...]) -> None:
    assert addresses.ip(value) == want


@pytest.mark.parametrize("value", ["", "None", "10.0.0", "10.0.0.256", "fe80::1%eth0", "a.b.c.d", "1:2", "10.0.0.1/8"])
def test_what_is_no_address(value: str) -> None:
    assert addresses.ip(value) == ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("10.0.0.0/8", []),
        ("fd00::/8", []),
        ("10.0.0.0/08", ["must not have leading 0s in prefix length"]),
        ("10.1.0.0/8", ["must not have bits set beyond the prefix length"]),
        ("10.00.0.0/8", ["must not have leading 0s"]),
        ("10.0.0.0/33", ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]),
    ],
)
def test_strict_ranges(value: str, want: list[str]) -> None:
    assert addresses.cidr(value) == want


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local range"),
        ("ff02::1", "link-local multicast"),
    ],
)
def test_special_addresses(value: str, word: str) -> None:
    [reason] = addresses.non_special(value)
    assert word in reason


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        ("*/5 0-6,12 1 jan mon-fri", ""),
        ("? * * * *", ""),
        ("5/10 * * * *", ""),
        ("@every 1h30m", ""),
        ("@hourly", ""),
        ("TZ=UTC 0 0 * * *", ""),
        ("", "expected exactly 5 fields, found 0: []"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("* -1 * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
        ("*/-2 * * * *", "negative number (-2) not allowed: -2"),
    ],
)
def test_schedules(schedule: str, want: str) -> None:
    assert cron.problem(schedule) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1", "1"),
        ("1500m", "1.5"),
        ("1Ki", "1024"),
        ("1e3", "1000"),
        ("2M", "2000000"),
        (5, "5"),
        ("x", None),
        (True, None),
    ],
)
def test_quantities(text: object, want: str | None) -> None:
    amount = quantity(text)
    assert (None if amount is None else format(amount.normalize(), "f")) == want


@given(st.text(max_size=70))
def test_every_name_is_judged(text: str) -> None:
    for rule in (names.dns_label, names.dns_subdomain, names.qualified_name, names.label_value, names.port_name):
        assert all(isinstance(reason, str) for reason in rule(text))
    assert addresses.parse(text) is None or not addresses.ip(text) or addresses.ip(text)


@pytest.mark.parametrize(
    ("api_version", "kind", "want"),
    [
        ("v1", "Service", "services"),
        ("v1", "Endpoints", "endpoints"),
        ("networking.k8s.io/v1", "Ingress", "ingresses.networking.k8s.io"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies.networking.k8s.io"),
    ],
)
def test_resources_are_plural_with_their_group(api_version: str, kind: str, want: str) -> None:
    assert resource(api_version, kind) == want


RULES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in RULES])
def test_rules_of_kinds(case: dict[str, Any]) -> None:
    found = causes(case["apiVersion"], case["kind"], case["object"])
    assert len(found) == len(case["causes"]), found
    for (field, message), (path, part) in zip(found, case["causes"], strict=True):
        assert field.endswith(path)
        assert part in message


def test_places_are_spelled_as_the_api_does() -> None:
    at = At().child("metadata", "annotations").key("a.b/c")
    assert (at.text, at.parts) == ("metadata.annotations[a.b/c]", ("metadata", "annotations", "a.b/c"))
    assert At().child("spec").child("x", spelled="X").index(2).text == "spec.X[2]"
