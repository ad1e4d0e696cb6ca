"""`netsim diff --proxy-mode A..B`: exit codes, three forms, and witnesses that `netsim trace` reproduces."""

from __future__ import annotations

import json
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from netsim.cli.main import run

KERNEL = Path(__file__).parents[2] / "conformance" / "kernel"


def words_of(case: str, pair: str, *more: str) -> list[str]:
    flags = (KERNEL / case / "flags").read_text().split()
    return ["diff", "-q", "-f", str(KERNEL / case / "manifests"), *flags, "--proxy-mode", pair, *more]


def report_of(capsys: pytest.CaptureFixture[str], case: str, pair: str) -> tuple[int, dict[str, Any]]:
    code = run(words_of(case, pair, "-o", "json"))
    return code, json.loads(capsys.readouterr().out)


def test_a_difference_is_exit_code_1_and_none_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = report_of(capsys, "03-nodeport", "iptables..nftables")
    assert code == 1
    assert report["schema"] == "netsim.diff/v1"
    assert report["differing"] == sum(cause["flows"] for cause in report["causes"]) > 0
    code, report = report_of(capsys, "03-nodeport", "nftables..nftables")
    assert code == 0
    assert report["causes"] == []
    assert report["asked"] > 0


SILENT = {"DROPPED", "NO_ROUTE"}


def endings_of(answer: dict[str, Any]) -> dict[tuple[str, str | None, str | None], Fraction]:
    found: dict[tuple[str, str | None, str | None], Fraction] = {}
    for outcome in answer["outcomes"]:
        delivered = outcome["disposition"] == "DELIVERED"
        name = "SILENT" if outcome["disposition"] in SILENT else outcome["disposition"]
        place = outcome["endpoint"]
        host = place and (f"[{place['ip']}]" if ":" in place["ip"] else place["ip"])
        key = (
            name,
            f"{host}:{place['port']}" if delivered else None,
            outcome["serverSees"]["ip"] if delivered else None,
        )
        found[key] = found.get(key, Fraction(0)) + Fraction(outcome["probability"])
    return found


@pytest.mark.parametrize(
    ("case", "pair"),
    [
        pytest.param("03-nodeport", "iptables..nftables", id="node-ports"),
        pytest.param("11-no-endpoints", "iptables..nftables", id="services-without-endpoints"),
        pytest.param("04-etp-local", "iptables..ipvs", id="local-policy-in-ipvs"),
        pytest.param("13-terminating", "ipvs..nftables", id="from-ipvs-to-nftables"),
        pytest.param("20-ipv6", "iptables..nftables", id="ipv6"),
    ],
)
def test_trace_reproduces_every_witness(capsys: pytest.CaptureFixture[str], case: str, pair: str) -> None:
    _, report = report_of(capsys, case, pair)
    assert report["causes"]
    for cause in report["causes"]:
        witness = cause["witness"]
        for command, mode in zip(witness["commands"], report["modes"], strict=True):
            program, *words = shlex.split(command)
            assert program == "netsim"
            run([*words, "-q", "-o", "json", "--detail", "minimal"])
            answer = json.loads(capsys.readouterr().out)
            wanted = {
                (e["disposition"], e["endpoint"], e["serverSees"]): Fraction(e["probability"])
                for e in witness["answers"][mode]
            }
            assert endings_of(answer) == wanted, command


def test_every_query_of_a_cause_is_a_query_of_trace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, report = report_of(capsys, "03-nodeport", "iptables..nftables")
    queries = [query for cause in report["causes"] for query in cause["queries"]]
    assert len(queries) == report["differing"]
    file = tmp_path / "queries.jsonl"
    file.write_text("".join(json.dumps(query) + "\n" for query in queries))
    flags = (KERNEL / "03-nodeport" / "flags").read_text().split()
    assert run(["trace", "-q", "-f", str(KERNEL / "03-nodeport" / "manifests"), *flags, "--queries", str(file)]) == 0


def test_text_names_cause_modes_witness_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words_of("11-no-endpoints", "iptables..nftables")) == 1
    text = capsys.readouterr().out
    assert text.startswith("iptables..nftables: ")
    for part in (
        "NO_ENDPOINTS_FROM_HOST: ",
        "  iptables: ",
        "  nftables: ",
        "witness: ",
        "netsim trace -f ",
        "source: ",
    ):
        assert part in text


def test_markdown_has_a_table_and_a_section_for_each_cause(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words_of("11-no-endpoints", "iptables..nftables", "-o", "markdown")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# From iptables to nftables"
    sections = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ") and "cause" not in line]
    assert sections == rows == ["UNUSED_CLUSTER_IP_PORT", "NO_ENDPOINTS_FROM_HOST", "SOURCE_RANGES_BEFORE_ENDPOINTS"]


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        pytest.param("nftables", "name two modes", id="one-mode"),
        pytest.param("iptables..nftabels", "did you mean 'nftables'", id="misspelt"),
        pytest.param("..nftables", "no mode ''", id="empty"),
    ],
)
def test_a_wrong_pair_of_modes_is_a_usage_error(capsys: pytest.CaptureFixture[str], mode: str, problem: str) -> None:
    assert run(words_of("03-nodeport", mode)) == 2
    assert problem in capsys.readouterr().err


def test_no_input_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "--proxy-mode", "iptables..nftables"]) == 2
    assert "no input" in capsys.readouterr().err


def test_output_is_the_same_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = set()
    for _ in range(2):
        run(words_of("10-external-ips", "ipvs..nftables", "-o", "json"))
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1
