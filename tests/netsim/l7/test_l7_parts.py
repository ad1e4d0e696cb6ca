"""Parts of the L7 model by themselves: ApisixRoute conditions, nginx variables, patterns, prefixes, external names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cluster.model import EndpointSlice, Service, SliceEndpoint
from netsim.l7 import pcre
from netsim.l7.apisix.exprs import read_exprs
from netsim.l7.nginx.variables import Context, captures_of, expand, known_variable
from netsim.l7.paths import prefix_matches, prefixes
from netsim.l7.pcre import PatternTooSlow, compile_pattern
from netsim.l7.request import Request
from netsim.l7.services import Services, external_addresses

REQUEST = Request(
    scheme="https", host="Shop.Example.com:8443", port=8443, method="POST", path="/a", query="x=1&y=a+b&X=2",
    headers={"x-user": "ann", "x-count": "12"}, cookies={"session": "s1"}, client="192.0.2.9",
)  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "name", "operator", "operand", "holds"),
    [
        ("Header", "X_User", "Equal", "ann", True),
        ("Header", "missing", "Equal", "", False),
        ("Header", "missing", "NotEqual", "ann", True),
        ("Query", "y", "Equal", "a b", True),
        ("Query", "z", "NotIn", "a b", True),
        ("Cookie", "session", "In", "s1", True),
        ("Cookie", "session", "NotIn", "s1", False),
        ("Path", "", "RegexMatch", "^/a$", True),
        ("Path", "", "RegexMatch", "^/A$", False),
        ("Path", "", "RegexMatchCaseInsensitive", "^/A$", True),
        ("Path", "", "RegexNotMatch", "^/b", True),
        ("Path", "", "RegexNotMatchCaseInsensitive", "^/A", False),
        ("Path", "", "RegexMatch", "(", False),
        ("Header", "X-Count", "GreaterThan", "11.5", True),
        ("Header", "X-Count", "GreaterThan", "12", False),
        ("Header", "X-Count", "GreaterThanEqual", "12", True),
        ("Header", "X-Count", "LessThan", "12", False),
        ("Header", "X-Count", "LessThanEqual", "12", True),
        ("Header", "X-User", "LessThan", "12", False),
        ("Header", "missing", "LessThan", "12", False),
        ("Variable", "uri", "Equal", "/a", True),
        ("Variable", "request_uri", "Equal", "/a?x=1&y=a+b&X=2", True),
        ("Variable", "host", "Equal", "shop.example.com", True),
        ("Variable", "request_method", "Equal", "POST", True),
        ("Variable", "remote_addr", "Equal", "192.0.2.9", True),
        ("Variable", "server_port", "Equal", "8443", True),
        ("Variable", "arg_x", "Equal", "1", True),
        ("Variable", "http_x_user", "Equal", "ann", True),
        ("Variable", "cookie_session", "Equal", "s1", True),
        ("Variable", "nothing_at_all", "Equal", "", False),
        ("Nowhere", "uri", "Equal", "/a", False),
        ("Path", "", "Resembles", "/a", False),
    ],
)
def test_conditions_of_apisix_routes(scope: str, name: str, operator: str, operand: str, holds: bool) -> None:
    subject = {"scope": scope, "name": name}
    one, several = (
        {"subject": subject, "op": operator, "value": operand},
        {"subject": subject, "op": operator, "set": [operand]},
    )
    for entry in (one, several):
        (expr,) = read_exprs([entry])
        assert expr.holds(REQUEST, "/a") is holds


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$scheme://$host$request_uri", "https://shop.example.com/a?x=1&y=a+b&X=2"),
        ("$http_host|$best_http_host", "Shop.Example.com:8443|Shop.Example.com:8443"),
        ("$uri$is_args$args", "/seen?x=1&y=a+b&X=2"),
        ("${document_uri}x", "/seenx"),
        ("$request_method $remote_addr $server_port", "POST 192.0.2.9 8443"),
        ("$http_x_user $cookie_session $arg_x $arg_Y", "ann s1 1 a+b"),
        ("$arg_missing$http_missing$cookie_missing$unknown", ""),
        ("$1$2$name", "onetwo"),
        ("$11", "one1"),
        ("${1}", "${1}"),
        ("$", "$"),
    ],
)
def test_nginx_variables_expand(text: str, expanded: str) -> None:
    captures = {"0": "x", "1": "one", "name": "two"}
    assert expand(text, Context(REQUEST, "/seen", captures)) == expanded


def test_without_a_host_the_servers_name_stands_for_it() -> None:
    context = Context(Request(), "/", {})
    assert expand("$host|$best_http_host|$query_string|$is_args", context) == "_|_||"


@pytest.mark.parametrize("name", ["uri", "http_anything", "arg_x", "cookie_x", "1"])
def test_variables_that_a_stock_nginx_knows(name: str) -> None:
    assert known_variable(name)
    assert not known_variable(f"proxy_{name}")


def test_captures_are_numbered_and_named_and_empty_where_unset() -> None:
    pattern = compile_pattern(r"(?<first>a)(b)?")
    assert pattern is not None
    assert captures_of(pattern.search("xa")) == {"0": "a", "1": "a", "2": "", "first": "a"}
    assert captures_of(pattern.search("x")) == {}


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a{x}", "a{x}", True),
        ("[{]", "{", True),
        ("a{2}", "aa", True),
        ("[[:digit:]]", "7", True),
        ("[[:digit:]]", "x", False),
        (r"a\z", "a\n", False),
        (r"a\Z", "a\n", True),
        (r"\h", "\t", True),
        (r"\R", "\r\n", True),
        ("(?i)A", "a", True),
        ("(?<=a)b", "ab", True),
    ],
)
def test_patterns_mean_what_pcre_means(pattern: str, text: str, found: bool) -> None:
    compiled = compile_pattern(pattern)
    assert compiled is not None
    assert (compiled.search(text) is not None) is found


@pytest.mark.parametrize("pattern", ["(", "^${2}", "*", "[", r"(?<1>a)", "a{2}{3}{", "(?P<a>x)(?P<a>y)"])
def test_patterns_that_nginx_refuses_are_none(pattern: str) -> None:
    assert compile_pattern(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text"), [("(a|aa)+$", "a" * 80 + "b"), ("^(.*?,){40}P", ",".join(map(str, range(60))))]
)
def test_a_pattern_that_backtracks_without_end_ends(pattern: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcre, "SECONDS", 0.05)
    compiled = compile_pattern(pattern)
    assert compiled is not None
    for use in (compiled.search, compiled.fullmatch, lambda given: compiled.replaced(lambda found: found[0], given)):
        with pytest.raises(PatternTooSlow, match=r"takes more than 0\.05 s to match"):
            use(text)


PATHS = st.lists(st.sampled_from(("a", "b", "ab", "")), max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(PATHS, PATHS)
def test_prefixes_are_exactly_those_that_match(path: str, rule: str) -> None:
    base = rule.rstrip("/")
    assert (base in prefixes(path)) == prefix_matches(rule, path)
    assert prefixes(path) == sorted(prefixes(path), key=len, reverse=True)


SERVICES = Services(
    {
        ("shop", "api"): Service("shop", "api", cluster_ips=("10.96.0.7", "fd00::7")),
        ("shop", "db"): Service("shop", "db", cluster_ips=("None",)),
    },
    {
        ("shop", "db"): (
            EndpointSlice("shop", "db-1", "db", "IPv4", endpoints=(
                SliceEndpoint(("10.244.1.5",), ready=True), SliceEndpoint(("10.244.1.6",), ready=False),
                SliceEndpoint(("10.244.1.7",), ready=None),
            )),
        )
    },
    {"pay.example.com": ("203.0.113.5",)},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        pytest.param("pay.example.com", ("203.0.113.5",), id="a-name-that-resolves"),
        pytest.param("PAY.example.com.", ("203.0.113.5",), id="letters-and-the-final-dot-do-not-matter"),
        pytest.param("other.example.com", (), id="a-name-that-does-not"),
        pytest.param("192.0.2.1", ("192.0.2.1",), id="an-address-is-itself"),
        pytest.param("127.0.0.1", (), id="never-the-local-host"),
        pytest.param("::1", (), id="never-the-local-host-ipv6"),
        pytest.param("localhost", (), id="never-the-local-host-by-name"),
        pytest.param("api.shop.svc.cluster.local", ("10.96.0.7", "fd00::7"), id="a-service"),
        pytest.param("api.shop.svc", ("10.96.0.7", "fd00::7"), id="a-service-without-the-domain"),
        pytest.param("db.shop.svc.cluster.local", ("10.244.1.5", "10.244.1.7"), id="a-headless-service"),
        pytest.param("none.shop.svc.cluster.local", (), id="no-service"),
        pytest.param("a.b.c.svc.cluster.local", (), id="too-many-labels"),
    ],
)
def test_external_names(name: str, addresses: tuple[str, ...]) -> None:
    assert external_addresses(SERVICES, name) == addresses
