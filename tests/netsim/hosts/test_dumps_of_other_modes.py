"""`--ruleset` with dumps of nftables and ipvs nodes: the dump of a node answers as the rules compiled for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.cli.main import run

CASE = Path(__file__).parents[2] / "conformance" / "kube-proxy" / "099-kitchen-sink"
FLOWS = (
    ("node/node-1", "10.96.12.1:80"),
    ("node/node-1", "10.96.12.2:7070"),
    ("node/node-1", "10.96.12.5:80"),
    ("node/node-1", "10.96.12.1:4321"),
    ("node/node-1", "203.0.113.99:443"),
    ("10.244.1.20", "10.96.12.1:443"),
    ("10.244.1.30", "10.96.12.2:7070"),
    ("external", "192.168.10.1:31080"),
)


def answers(capsys: pytest.CaptureFixture[str], mode: str, dumps: list[Path], tmp_path: Path) -> list[dict[str, Any]]:
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps({"from": a, "to": b}) + "\n" for a, b in FLOWS))
    words = ["trace", "-q", "-f", str(CASE / "manifests"), "--cluster-cidr=10.244.0.0/16", "--proxy-mode", mode]
    rulesets = [word for path in dumps for word in ("--ruleset", f"node-1={path}")]
    assert run([*words, *rulesets, "--queries", str(queries)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def facts(answer: dict[str, Any]) -> tuple[object, ...]:
    keys = ("probability", "disposition", "endpoint", "serverSees", "snat")
    return answer["verdict"], answer["code"], [tuple(json.dumps(o[key]) for key in keys) for o in answer["outcomes"]]


NODE = {mode: CASE / f"{mode}-node-1" for mode in ("nftables", "ipvs")}
IPVS_FILES = ("ipvsadm.txt", "ipset.txt", "iptables-save.txt", "addrs.txt")


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        pytest.param("nftables", ("nft.txt",), id="nft-list-ruleset"),
        pytest.param("nftables", ("nft-input.txt",), id="nft-transaction"),
        pytest.param("ipvs", IPVS_FILES, id="ipvs-with-bound-addresses"),
        pytest.param("ipvs", IPVS_FILES[:3], id="ipvs-addresses-from-the-ipset"),
    ],
)
def test_a_dump_answers_as_the_compiled_rules(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: str, names: tuple[str, ...]
) -> None:
    compiled = answers(capsys, mode, [], tmp_path)
    dumped = answers(capsys, mode, [NODE[mode] / name for name in names], tmp_path)
    assert [sorted_facts(a) for a in dumped] == [sorted_facts(a) for a in compiled]


def sorted_facts(answer: dict[str, Any]) -> tuple[object, ...]:
    verdict, code, outcomes = facts(answer)
    assert isinstance(outcomes, list)
    return verdict, code, sorted(outcomes)


def test_rules_of_a_dump_have_the_origin_of_the_compiled_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["trace", "-q", "-f", str(CASE / "manifests"), "--cluster-cidr=10.244.0.0/16", "--proxy-mode", "nftables"]
    run([*words, "--ruleset", f"node-1={NODE['nftables'] / 'nft.txt'}", "-o", "json", "node/node-1", "10.96.12.1:80"])
    answer = json.loads(capsys.readouterr().out)
    origins = [s["origin"] for o in answer["outcomes"] for h in o["hops"] for s in h["steps"] if s.get("origin")]
    assert any(
        o["kind"] == "Service" and o["name"] == "frontend" and o["file"].endswith("services.yaml") for o in origins
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("hello\n", "not the output of iptables-save, nft, ipvsadm", id="no-dump"),
        pytest.param("table ip t {\n\tchain c {\n", ":2:", id="cut-off-listing"),
        pytest.param('{"nftables": 3}', "no list 'nftables'", id="json-of-another-program"),
        pytest.param('{"nftables": [', ":1:", id="cut-off-json"),
        pytest.param("-A -t 10.0.0.1:x -s rr\n", ":1:", id="a-port-that-is-none"),
        pytest.param("create S hash:ip family inet\nadd T 10.0.0.1\n", ":2:1: no set 'T'", id="entry-of-no-set"),
    ],
)
def test_bad_dumps_are_refused_with_their_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "dump"
    path.write_text(text)
    words = [
        "trace",
        "-q",
        "-f",
        str(CASE / "manifests"),
        "--ruleset",
        f"node-1={path}",
        "node/node-1",
        "10.96.12.1:80",
    ]
    assert run(words) == 2
    assert problem in capsys.readouterr().err


def test_two_dumps_of_one_kind_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    path = NODE["nftables"] / "nft.txt"
    words = ["--ruleset", f"node-1={path}"] * 2
    assert run(["trace", "-q", "-f", str(CASE / "manifests"), *words, "node/node-1", "10.96.12.1:80"]) == 2
    assert "already" in capsys.readouterr().err
