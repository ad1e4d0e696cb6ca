"""kube-proxy's flags on the command line (pflag's reading of booleans and words)."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from netsim.cli import proxy_flags
from netsim.cli.main import cli


@pytest.mark.parametrize(
    ("words", "want"),
    [
        pytest.param(["--masquerade-all", "x"], ["--masquerade-all=true", "x"], id="the next word is not swallowed"),
        pytest.param(["--masquerade-all=false"], ["--masquerade-all=false"], id="a given value stays"),
        pytest.param(["--masquerade-all="], ["--masquerade-all="], id="an empty value stays"),
        pytest.param(["--cleanup"], ["--cleanup=true"], id="ignored booleans too"),
        pytest.param(["--cluster_cidr=10.0.0.0/8"], ["--cluster-cidr=10.0.0.0/8"], id="underscores are dashes"),
        pytest.param(
            ["--cluster-cidr", "--masquerade_all"], ["--cluster-cidr", "--masquerade-all=true"], id="no value"
        ),
        pytest.param(["--not_a_flag"], ["--not_a_flag"], id="other flags are left alone"),
        pytest.param(["-f", "a_b"], ["-f", "a_b"], id="other words are left alone"),
        pytest.param(["exec", "--", "--masquerade-all"], ["exec", "--", "--masquerade-all"], id="after two dashes"),
    ],
)
def test_words_are_read_as_pflag_reads_them(words: list[str], want: list[str]) -> None:
    assert proxy_flags.as_pflag(words) == want


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_what_go_takes_for_true(text: str) -> None:
    assert proxy_flags.parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_what_go_takes_for_false(text: str) -> None:
    assert proxy_flags.parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "tRUE", "2", "on"])
def test_what_go_does_not_take(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        proxy_flags.parse_bool(text)


def given(*words: str) -> dict[str, Any]:
    """Return the flags that a command line gives."""
    seen: dict[str, Any] = {}

    @click.command()
    @click.argument("rest", nargs=-1)
    @proxy_flags.proxy_options
    def command(**params: Any) -> None:
        seen.update(proxy_flags.given_flags(params), rest=params["rest"])

    result = CliRunner().invoke(command, proxy_flags.as_pflag(words))
    assert result.exit_code == 0, result.output
    return seen


def test_flags_that_are_not_given_are_left_to_the_next_source() -> None:
    assert given("word") == {"rest": ("word",)}


def test_given_flags_keep_their_words() -> None:
    assert given("--masquerade-all", "word", "--iptables-localhost-nodeports=f", "--cluster-cidr", "10.0.0.0/8") == {
        "masquerade-all": True,
        "iptables-localhost-nodeports": False,
        "cluster-cidr": "10.0.0.0/8",
        "rest": ("word",),
    }


def test_lists_may_be_repeated() -> None:
    found = given("--nodeport-addresses=10.0.0.0/8,192.168.0.0/16", "--nodeport-addresses", "127.0.0.0/8")
    assert found["nodeport-addresses"] == ("10.0.0.0/8,192.168.0.0/16", "127.0.0.0/8")


@pytest.mark.parametrize("name", [*proxy_flags.IGNORED_TEXTS])
def test_every_other_flag_of_kube_proxy_takes_its_word(name: str) -> None:
    assert given(f"--{name}", "word")[name] == "word"


@pytest.mark.parametrize("name", [*proxy_flags.IGNORED_BOOLEANS])
def test_every_other_boolean_of_kube_proxy_takes_no_word(name: str) -> None:
    assert given(f"--{name}", "word") == {name: True, "rest": ("word",)}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param(["--masquerade-all=maybe"], 'invalid argument "maybe" for "--masquerade-all" flag', id="boolean"),
        pytest.param(["--no-such-flag"], "No such option", id="unknown"),
    ],
)
def test_wrong_flags_are_usage_errors(words: list[str], text: str) -> None:
    result = CliRunner().invoke(cli, ["compile", "-f", "x", *words])
    assert result.exit_code == 2
    assert text in result.output
