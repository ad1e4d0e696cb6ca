"""Paths and hosts as proxies compare them, with their laws."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.l7.gateway.filters import replace_prefix
from netsim.l7.gateway.hostnames import covers, intersection
from netsim.l7.paths import escape_uri, normalize, prefix_matches
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import bare_host, from_url
from netsim.l7.table import host_table


@pytest.mark.parametrize(
    ("raw", "uri"),
    [
        pytest.param("/a/b", "/a/b", id="plain"),
        pytest.param("/a//b///c", "/a/b/c", id="slashes are merged"),
        pytest.param("/a/./b/../c", "/a/c", id="dots are resolved"),
        pytest.param("/a/..", "/", id="to the root"),
        pytest.param("/a/b/..", "/a/", id="a closing .. leaves a slash"),
        pytest.param("/a/.", "/a/", id="a closing . leaves a slash"),
        pytest.param("/a%2Fb%20c", "/a/b c", id="percent decoding happens once"),
        pytest.param("/a%252F", "/a%2F", id="and only once"),
        pytest.param("/%C3%A9", "/Ã©", id="bytes beyond ASCII stay bytes"),
        pytest.param("/é", "/Ã©", id="also when sent raw"),
        pytest.param("/..", None, id="above the root is a bad request"),
        pytest.param("/a%2", None, id="a broken escape is a bad request"),
        pytest.param("/a%00b", None, id="a null byte is a bad request"),
        pytest.param("/.well-known/x", "/.well-known/x", id="a dot may begin a name"),
    ],
)
def test_nginx_normalizes(raw: str, uri: str | None) -> None:
    assert normalize(raw) == uri


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "%41", "%2e%2e"]), max_size=8))
def test_normalizing_twice_changes_nothing(parts: list[str]) -> None:
    uri = normalize("/" + "/".join(parts))
    assert uri is None or normalize(uri) == uri


@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255), max_size=20))
def test_escaping_is_undone_by_decoding(text: str) -> None:
    escaped = escape_uri("/" + text)
    assert re.fullmatch(r"[!-~]*", escaped)
    decoded = re.sub("%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), escaped)
    assert decoded == "/" + text


@pytest.mark.parametrize(
    ("rule", "path", "matches"),
    [
        ("/", "/any", True),
        ("/foo", "/foo", True),
        ("/foo", "/foo/", True),
        ("/foo/", "/foo", True),
        ("/aaa/bb", "/aaa/bbb", False),
        ("/aaa/bbb", "/aaa/bbb/ccc", True),
        ("/aaa/bbb", "/aaa/bbbxyz", False),
        ("/aaa", "/ccc", False),
        ("/foo", "/FOO", False),
    ],
)
def test_a_prefix_matches_whole_elements(rule: str, path: str, matches: bool) -> None:
    assert prefix_matches(rule, path) is matches


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Shop.Example.COM", "shop.example.com"),
        ("a.test:8080", "a.test"),
        ("a.test.", "a.test"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert bare_host(host) == name


@pytest.mark.parametrize(
    ("url", "port", "path", "query"),
    [
        ("http://a.test", 80, "/", None),
        ("https://a.test/x", 443, "/x", None),
        ("http://a.test:8080/x?y=/z#frag", 8080, "/x", "y=/z"),
        ("http://a.test/x?", 80, "/x", ""),
        ("http://a.test/a/../b", 80, "/a/../b", None),
    ],
)
def test_a_url_becomes_a_request(url: str, port: int, path: str, query: str | None) -> None:
    request = from_url(url)
    assert (request.port, request.path, request.query) == (port, path, query)


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("", "any.test", True),
        ("a.test", "a.test", True),
        ("*.test", "a.test", True),
        ("*.test", "a.b.test", True),
        ("*.test", "test", False),
        ("*.test", "*.a.test", True),
        ("*.a.test", "*.test", False),
        ("*.test", "*.test", True),
        ("*.test", "atest", False),
    ],
)
def test_gateway_hostnames_cover_any_depth(pattern: str, host: str, covered: bool) -> None:
    assert covers(pattern, host) is covered


NAMES = st.sampled_from(["", "a.test", "*.test", "*.a.test", "b.a.test", "x.org", "*.org"])


@given(NAMES, NAMES)
def test_an_intersection_is_covered_by_both(listener: str, route: str) -> None:
    for name in intersection(listener, [route] if route else []):
        assert covers(listener, name)
        assert covers(route, name)


@given(NAMES, NAMES)
def test_an_intersection_is_symmetric(left: str, right: str) -> None:
    assert intersection(left, [right] if right else []) == intersection(right, [left] if left else [])


def test_a_wildcard_of_an_ingress_is_one_label_and_of_a_gateway_any() -> None:
    entries = {"*.foo.com": "wild", "bar.foo.com": "exact", "": "any"}
    one, any_depth = host_table(entries), host_table(entries, any_depth=True)
    hosts = ("bar.foo.com", "x.foo.com", "y.x.foo.com", "foo.com")
    assert [one.find(host) for host in hosts] == ["exact", "wild", "any", "any"]
    assert [any_depth.find(host) for host in hosts] == ["exact", "wild", "wild", "any"]
    assert list(any_depth.falling("bar.foo.com")) == ["exact", "wild", "any"]


@pytest.mark.parametrize(
    ("path", "prefix", "replacement", "new"),
    [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
    ],
)
def test_the_table_of_replaced_prefixes(path: str, prefix: str, replacement: str, new: str) -> None:
    assert replace_prefix(path, prefix, replacement) == new


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        pytest.param("(?<user>[a-z]+)", "abc", True, id="PCRE's named groups"),
        pytest.param("[[:digit:]]+", "7", True, id="POSIX classes"),
        pytest.param(r"a\z", "a", True, id="end of subject"),
        pytest.param(r"\d", "٣", False, id="digits are ASCII"),
    ],
)
def test_pcre_is_read(pattern: str, text: str, found: bool) -> None:
    compiled = compile_pattern(pattern)
    assert compiled is not None
    assert (compiled.search(text) is not None) is found


def test_what_is_no_pattern_is_none() -> None:
    assert compile_pattern("(") is None
