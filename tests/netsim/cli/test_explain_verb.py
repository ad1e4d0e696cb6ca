"""`netsim explain`: chains, sets, servers and rules back to Service, field and line; dumps; unknown names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from netsim.cli.main import cli, run

SHOP = str(Path(__file__).parents[3] / "topologies" / "shop")
SVC, EXT = "KUBE-SVC-PY4JZH2ITZYEO4CN", "KUBE-EXT-PY4JZH2ITZYEO4CN"


def explain(*words: str) -> Result:
    return CliRunner().invoke(cli, ["explain", "-f", SHOP, *words], standalone_mode=False)


def as_json(*words: str) -> dict[str, Any]:
    result = explain("-o", "json", "-q", *words)
    assert result.exception is None, result.exception
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def origins(rows: list[dict[str, Any]]) -> list[tuple[str, str, int] | None]:
    return [
        (f"{o['kind']} {o['namespace']}/{o['name']}", o["field"], o["line"]) if (o := row["origin"]) else None
        for row in rows
    ]


def test_a_chain_in_text() -> None:
    lines = explain(EXT, "-q").stdout.splitlines()
    assert lines == [
        f"{EXT} in nat on node-1, IPv4, kube-proxy mode iptables: 2 rules",
        f'  -A {EXT} -m comment --comment "masquerade traffic for shop/frontend:http external destinations"'
        " -j KUBE-MARK-MASQ",
        f"      Service shop/frontend spec.externalTrafficPolicy ({SHOP}/services.yaml:32)",
        f"  -A {EXT} -j {SVC}",
        f"      Service shop/frontend spec.ports[0] ({SHOP}/services.yaml:37)",
        "referred to by 2 rules",
        '  -A KUBE-NODEPORTS -d 127.0.0.0/8 -p tcp -m comment --comment "shop/frontend:http" -m tcp --dport 30080'
        f" -m nfacct --nfacct-name  localhost_nps_accepted_pkts -j {EXT}",
        f"      Service shop/frontend spec.ports[0].nodePort ({SHOP}/services.yaml:37)",
        f'  -A KUBE-NODEPORTS -p tcp -m comment --comment "shop/frontend:http" -m tcp --dport 30080 -j {EXT}',
        f"      Service shop/frontend spec.ports[0].nodePort ({SHOP}/services.yaml:37)",
    ]


def test_a_chain_in_json() -> None:
    found = as_json(SVC)
    assert list(found) == ["schema", "id", "name", "node", "proxyMode", "programs", "notes"]
    assert (found["schema"], found["node"], found["proxyMode"]) == ("netsim.explain/v1", "node-1", "iptables")
    (program,) = found["programs"]
    assert (program["program"], program["family"]) == ("kube-proxy", "ipv4")
    assert ("Pod shop/frontend-0", "", 1) in origins(program["rules"])
    assert {row["chain"] for row in program["references"]} == {"KUBE-SERVICES", EXT}


@pytest.mark.parametrize(
    ("mode", "name", "table", "origin"),
    [
        ("nftables", "service-SFDBSQB2-shop/frontend/tcp/http", "ip kube-proxy", ("Service shop/frontend", 35)),
        ("nftables", "service-ips", "ip kube-proxy", ("Service shop/frontend", 37)),
        ("nftables", "@cluster-ips", "ip kube-proxy", ("Service shop/frontend", 33)),
        ("ipvs", "KUBE-NODE-PORT-TCP", "ipset", ("Service shop/frontend", 37)),
        ("ipvs", "10.96.20.2:80", "ipvs", ("Service shop/frontend", 33)),
        ("iptables", SVC, "nat", ("Service shop/frontend", 35)),
    ],
)
def test_the_three_modes(mode: str, name: str, table: str, origin: tuple[str, int]) -> None:
    program = as_json(f"--proxy-mode={mode}", name)["programs"][0]
    assert {row["table"] for row in program["rules"]} == {table}
    assert origin in [(found[0], found[2]) for found in origins(program["rules"]) if found]


RULE = (
    '-A KUBE-SERVICES -d 10.96.20.2/32 -p tcp -m comment --comment "shop/frontend:http cluster IP"'
    f" -m tcp --dport 80 -j {SVC}"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RULE, id="as a dump has it"),
        pytest.param(f"[12:720] {RULE}", id="with counters"),
        pytest.param(f"iptables -t nat {RULE}", id="as a command"),
        pytest.param(RULE.removeprefix("-A "), id="without -A"),
        pytest.param(RULE.replace(" -j", "  -j"), id="with more blanks"),
        pytest.param(
            '-A KUBE-SERVICES -m comment --comment "shop/frontend:http cluster IP" -m tcp -p tcp -d 10.96.20.2'
            f" --dport 80 -j {SVC}",
            id="as compile prints it",
        ),
    ],
)
def test_the_text_of_a_rule(text: str) -> None:
    (program,) = as_json(text)["programs"]
    assert as_json("--", text)["programs"] == [program]
    assert [row["text"] for row in program["rules"]] == [RULE]
    assert origins(program["rules"]) == [("Service shop/frontend", "spec.ports[0]", 37)]
    assert program["references"] == []


def test_a_node_may_be_chosen() -> None:
    assert as_json("KUBE-MARK-MASQ")["node"] == "node-1"
    assert as_json("KUBE-MARK-MASQ", "--node", "node-3")["node"] == "node-3"


def test_rules_of_kube_proxy_itself_are_said_to_be_so() -> None:
    text = explain("KUBE-MARK-MASQ", "-q").stdout
    assert "kube-proxy's own, made for no object" in text
    assert len(text.splitlines()) < 60


def test_a_dump_is_explained_where_a_manifest_explains_it(tmp_path: Path) -> None:
    compiled = CliRunner().invoke(cli, ["compile", "-q", "-f", SHOP, "--node", "node-2", "-o", "save"])
    dump = tmp_path / "node-2.txt"
    ours = f"-A {SVC} -s 10.0.0.0/8 -j DROP"
    dump.write_text(compiled.stdout.replace(f"-A {SVC} ", f"{ours}\n-A {SVC} ", 1))
    result = explain(SVC, "--ruleset", f"node-2={dump}", "-q")
    assert result.exception is None, result.exception
    lines = result.stdout.splitlines()
    assert lines[0] == f"{SVC} in nat on node-2, IPv4, dump: 5 rules"
    assert lines[lines.index(f"  {ours}") + 1].strip() == "no manifest explains this rule"
    assert any("Pod shop/frontend-1" in line for line in lines)
    rule = explain("--ruleset", f"node-2={dump}", "-q", ours)
    assert rule.stdout.splitlines() == [
        f"rule of nat {SVC} on node-2, IPv4, dump",
        f"  {ours}",
        "      no manifest explains this rule",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["KUBE-SVC-PY4JZH2ITZYEO4C"], f"did you mean '{SVC}'?", id="a name with a letter missing"),
        pytest.param(
            ["-A KUBE-SERVICES -j NOTHING".removeprefix("-A ")], "no such rule", id="a rule that is not there"
        ),
        pytest.param([SVC, "--node", "node-9"], "no such node", id="a node that is not there"),
        pytest.param([SVC, "--ruleset", "node-1=/nonexistent"], "No such file", id="a dump that is not there"),
    ],
)
def test_what_is_not_there_is_bad_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "-q", "-f", SHOP, *words]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True)


def test_equal_input_is_equal_output() -> None:
    assert explain(SVC, "-o", "json").stdout == explain(SVC, "-o", "json").stdout


def test_many_names_are_answered_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "names.jsonl"
    file.write_text(
        '{"id": 1, "name": "KUBE-MARK-MASQ"}\n{"id": 2, "name": "KUBE-NOPE"}\n'
        '{"id": 3, "name": "KUBE-MARK-MASQ", "node": "node-2"}\n{"id": 4}\n'
    )
    assert explain("-q").exception is not None
    assert explain("-q", "KUBE-MARK-MASQ", "--queries", str(file)).exception is not None
    result = explain("-q", "--queries", str(file))
    first, unknown, second, nameless = map(json.loads, result.stdout.splitlines())
    assert result.return_value == 2
    assert list(first)[:3] == ["schema", "id", "name"]
    assert (first["id"], first["node"], second["node"]) == (1, "node-1", "node-2")
    assert "no chain, set, server or rule of this name" in unknown["error"]
    assert nameless["id"] == 4
    assert "must be that of a chain" in nameless["error"]


@pytest.mark.parametrize(
    ("mode", "name"),
    [("iptables", "KUBE-PROXY-CANARY"), ("ipvs", "KUBE-NODE-PORT-SCTP-HASH"), ("nftables", "firewall-ips")],
    ids=["a chain", "an ipset", "an nft map"],
)
def test_what_is_empty_is_said_to_be(mode: str, name: str) -> None:
    dual = str(Path(__file__).parents[3] / "topologies" / "dual-stack")
    words = ["explain", "-q", "-f", dual, "--proxy-mode", mode, name]
    first = CliRunner().invoke(cli, words, standalone_mode=False).stdout.splitlines()[0]
    assert first.startswith(name)
    assert "IPv4, kube-proxy mode" in first
