"""Nothing in a manifest adds a directive to the nginx configuration, closes a block or escapes a string."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.l7 import compile_ingress
from netsim.l7.conf.build import Target
from netsim.l7.conf.quoting import Refused, portable, quote
from netsim.l7.pcre import compile_pattern
from tests.netsim.l7.hostile import (
    STRINGS,
    TEMPLATE,
    Tree,
    allowed,
    base,
    configuration,
    everywhere,
    ingress,
    tree,
    with_annotation,
    with_host,
    with_path,
    with_regex_path,
)
from tests.netsim.l7.recorded import cluster_of

Place = Callable[[str], list[dict[str, Any]]]
# What the controller itself makes of an absent value or an unreadable one is expected too: a closed location,
# weight 0, the default server.
UNREADABLE = {
    "whitelist-source-range": "nonsense",
    "denylist-source-range": "nonsense",
    "canary-weight": "0",
    "a host": "_",
}
PLACES: dict[str, tuple[Place, str]] = {
    "a Prefix path": (with_path("Prefix"), "/plain"),
    "an Exact path": (with_path("Exact"), "/plain"),
    "a regular expression path": (with_regex_path, "/re/(.*)"),
    "a host": (with_host, "plain.test"),
    **{f"annotation {name}": (lambda v, n=name: with_annotation(n, v), value) for name, value in TEMPLATE.items()},
}


@cache
def harmless(place: str) -> tuple[Tree, ...]:
    make, value = PLACES[place]
    values = (value, "", UNREADABLE.get(place.removeprefix("annotation "), value))
    return tuple(tree(configuration(make(one))) for one in dict.fromkeys(values))


def adds_nothing(place: str, value: str) -> bool:
    make, _ = PLACES[place]
    found = tree(configuration(make(value)))
    return any(allowed(found, expected) for expected in harmless(place))


def texts() -> st.SearchStrategy[str]:
    """Strings made of what matters to nginx, mixed with ordinary text."""
    pieces = st.sampled_from(
        ['"', "'", "\\", "$", "{", "}", ";", "#", "\n", " ", "/", "(", ")", "[", "]", "~", "*", "a", "1", "é", "?", "="]
    )
    return st.one_of(
        st.sampled_from(STRINGS),
        st.lists(pieces, max_size=24).map("".join),
        st.lists(pieces, max_size=12).map(lambda p: "/" + "".join(p)),
    )


@pytest.mark.parametrize("place", PLACES)
def test_known_attacks_add_nothing(place: str) -> None:
    assert [value for value in STRINGS if not adds_nothing(place, value)] == []


@settings(max_examples=300)
@given(place=st.sampled_from(sorted(PLACES)), value=texts())
def test_random_text_adds_nothing(place: str, value: str) -> None:
    assert adds_nothing(place, value)


def accepted(manifests: list[dict[str, Any]], folder: Path) -> str:
    """What `nginx -t` says against a configuration, "" if nothing."""
    target = Target(http="127.0.0.1:18080", https="127.0.0.1:18443")
    [compiled] = compile_ingress(cluster_of(manifests), target=target).values()
    for name, text in compiled.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = ["nginx", "-t", "-q", "-p", str(folder), "-c", "nginx.conf"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


@needs_nginx
@pytest.mark.parametrize("value", STRINGS, ids=range(len(STRINGS)))
def test_nginx_loads_a_known_attack_in_every_place(value: str, tmp_path: Path) -> None:
    assert accepted(everywhere(value), tmp_path) == ""


@needs_nginx
@settings(max_examples=40)
@given(value=texts())
def test_nginx_loads_random_text_in_every_place(value: str) -> None:
    with TemporaryDirectory() as folder:
        assert accepted(everywhere(value), Path(folder)) == ""


def test_a_hostile_value_keeps_its_meaning_when_it_is_written() -> None:
    written = configuration(with_path("Exact")('/a"b;c{d}'))
    assert 'location = "/a\\"b;c{d}" {' in written


def test_snippets_are_refused_with_an_explanation() -> None:
    compiled = compile_ingress(
        cluster_of([*base(), ingress("tested", "a.test", "/", {"server-snippet": "return 200;"})])
    )
    [found] = compiled.values()
    assert "return 200 " not in found.files["nginx.conf"].replace("return 200;", "", 1)
    assert [note.text for note in found.notes if note.code == "SNIPPET_REFUSED"] == [
        "Ingress default/tested: server-snippet is configuration text of an untrusted author; it is refused, not copied"
    ]


def test_the_comparison_notices_an_injected_directive() -> None:
    expected = tree("http { server { listen 80; } }")
    assert not allowed(tree("http { server { listen 80; return 200; } }"), expected)
    assert not allowed(tree("http { server { listen 80; } server { listen 81; } }"), expected)
    assert allowed(tree("http { server { } }"), expected)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_quoted_word_is_read_back_as_it_was(text: str) -> None:
    try:
        word = quote(text)
    except Refused:
        assert any(ord(character) < 0x20 or ord(character) == 0x7F for character in text)
        return
    inner = word[1:-1]
    assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0
    assert inner.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\") == text


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        pytest.param("/a/(b|c)$", "/a/(b|c)$", id="ordinary"),
        pytest.param("/(?<user>[a-z]+)/x", "/([a-z]+)/x", id="named groups lose their names"),
        pytest.param("/(?P<user>[a-z]+)", "/([a-z]+)", id="also in Python's spelling"),
        pytest.param("/[[:alpha:]]+", "/[[:alpha:]]+", id="POSIX classes"),
    ],
)
def test_a_portable_pattern(pattern: str, written: str) -> None:
    assert portable(pattern) == written


@pytest.mark.parametrize(
    "pattern", ["(", "a{99999}", "(?R)", "(?#x)", "\\Qx", "[z-a]", "(*SKIP)", "\\", "a\nb", "(?x) a", "x" * 4000]
)
def test_a_pattern_that_is_refused(pattern: str) -> None:
    with pytest.raises(Refused):
        portable(pattern)


@given(st.text(alphabet="ab01()[]{}|*+?.^$\\-:,<>=!PQdwsn", max_size=16))
def test_what_is_portable_compiles(pattern: str) -> None:
    try:
        assert compile_pattern(portable(pattern)) is not None
    except Refused:
        assert portable("a") == "a"
