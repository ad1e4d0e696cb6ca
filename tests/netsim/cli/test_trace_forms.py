"""`netsim trace -o dot|svg|html|kernel|pcap`: what is written where, exit codes, and what pages show of manifests."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scapy.utils import rdpcap

from netsim.cli.main import cli
from netsim.cli.trace_forms import Manifests, around

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHOP = str(TOPOLOGIES / "shop")
QUESTION = ("external", "node/node-1:30080", "-f", SHOP, "-q")


def trace(*words: str) -> Result:
    return CliRunner().invoke(cli, ["trace", *QUESTION, *words], standalone_mode=False)


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("dot", "digraph trace {"),
        ("svg", "<svg xmlns="),
        ("html", "<!doctype html>"),
        ("kernel", "# external -> node/node-1:30080: REACHABLE"),
    ],
)
def test_forms_are_written_to_stdout(form: str, start: str) -> None:
    result = trace("-o", form)
    assert (result.exception, result.return_value) == (None, 0)
    assert result.stdout.startswith(start)
    assert result.stdout.endswith("\n")
    assert result.stdout == trace("-o", form).stdout


@pytest.mark.parametrize("form", ["dot", "svg", "html", "kernel", "pcap"])
def test_an_expectation_that_is_not_met_is_exit_1(form: str) -> None:
    assert trace("-o", form, "--expect", "DROPPED").return_value == 1
    assert trace("-o", form, "--expect", "REACHABLE").return_value == 0


def test_the_answers_way_is_there_when_asked_for() -> None:
    assert "the way of the answer" not in trace("-o", "svg").stdout
    assert "the way of the answer" in trace("-o", "svg", "--return").stdout
    assert "# answer" in trace("-o", "kernel", "--return").stdout


def test_a_capture_is_binary_and_refused_on_a_terminal() -> None:
    result = trace("-o", "pcap")
    assert len(rdpcap(io.BytesIO(result.stdout_bytes))) == 14
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "netsim", "trace", *QUESTION, "-o", "pcap")
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert "-o pcap is a capture file" in done.stderr


def test_a_page_shows_the_manifests_own_lines() -> None:
    assert "{name: http, port: 80, targetPort: 8080, nodePort: 30080}</mark>" in trace("-o", "html").stdout


@pytest.mark.parametrize(
    ("line", "first", "count"),
    [pytest.param(5, 4, 2, id="only the document's own"), pytest.param(2, 1, 2, id="at the beginning")],
)
def test_excerpts_never_show_another_document(line: int, first: int, count: int) -> None:
    lines = ["kind: Secret", "data: c2VjcmV0", "---", "kind: Pod", "metadata:", "---", "kind: Secret"]
    excerpt = around(lines, line)
    assert excerpt is not None
    assert (excerpt.first, len(excerpt.lines)) == (first, count)


def test_a_file_that_is_gone_has_no_excerpt(tmp_path: Path) -> None:
    manifests = Manifests()
    assert manifests.excerpt(str(tmp_path / "none.yaml"), 1) is None
    assert manifests.excerpt("-", 1) is None
    assert around(["a"], 0) is None
    assert around(["a"], 2) is None


def test_standard_input_has_pictures_too() -> None:
    text = (TOPOLOGIES / "broken" / "cluster.yaml").read_text()
    words = ["trace", "pod/default/client", "svc/default/typo:80", "-f", "-", "-o", "html", "-q"]
    result = CliRunner().invoke(cli, words, input=text, standalone_mode=False)
    assert result.exception is None
    assert "REFUSED NO_ENDPOINTS" in result.stdout


PUBLISHED = {
    "nodeport": ("shop", "external", "node/node-1:30080", "--return"),
    "no-endpoints": ("broken", "pod/default/client", "svc/default/typo:80", "--return"),
    "hairpin": ("shop", "pod/shop/api-0", "http://api.shop/", "--return", "--proxy-mode=nftables"),
}
"""The pictures of docs/pictures, and the questions they answer."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_pictures_are_what_is_drawn_today(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOPOLOGIES.parent)
    folder, *words = PUBLISHED[name]
    command = ["trace", "-f", f"topologies/{folder}", "-q", "-o", "svg", *words]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.exception is None
    assert Path(f"docs/pictures/{name}.svg").read_text() == result.stdout
