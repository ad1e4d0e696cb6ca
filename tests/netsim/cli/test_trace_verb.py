"""`netsim trace` as a command: its text, its JSON, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from netsim.cli.main import run

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHOP = str(TOPOLOGIES / "shop")
POD, SERVICE = "pod/shop/frontend-0", "svc/shop/api:80"


def trace(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(["trace", "-q", "-f", SHOP, *words]) == code
    return capfd.readouterr().out


QUESTIONS = [
    (POD, SERVICE),
    (POD, "svc/shop/db:5432"),
    (POD, "svc/shop/legacy:80"),
    (POD, "svc/shop/api:81"),
    ("pod/shop/api-0", "192.168.10.2:30080"),
    ("node/node-1", "127.0.0.1:30080"),
    ("external", "203.0.113.10:80"),
    ("external", "192.168.10.3:30090"),
]


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize(("source", "target"), QUESTIONS, ids=[f"{s} {t}" for s, t in QUESTIONS])
def test_a_default_trace_fits_on_a_screen(
    source: str, target: str, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    out = trace(capfd, source, target, "--proxy-mode", mode, "--return")
    lines = out.splitlines()
    assert 5 <= len(lines) <= 25
    verdict, code = lines[0].split()[:2]
    document = json.loads(trace(capfd, source, target, "--proxy-mode", mode, "-o", "json"))
    assert (verdict, code.rstrip(":")) == (document["verdict"], document["code"])
    assert document["summary"] in lines[0]
    assert mode in lines[1]
    assert lines[-1].startswith("replay: netsim lab up demo -f ")


def test_the_text_tells_the_whole_story(capfd: pytest.CaptureFixture[str]) -> None:
    out = trace(capfd, POD, SERVICE, "--return")
    assert "REACHABLE OK: 3 of 3 outcomes reach an endpoint of shop/api:http" in out
    assert f"{POD} (10.244.1.10) -> {SERVICE} = 10.96.20.1:80/tcp, kube-proxy mode iptables" in out
    assert "JUMP KUBE-SVC-" in out
    assert "[Service shop/api spec.ports[0] (" in out
    assert out.count("1/3 DELIVERED") == 3
    assert "server sees 10.244.1.10: the client's own, no rule translates it" in out
    assert "answer comes back" in out


def test_minimal_is_for_regression_tests(capfd: pytest.CaptureFixture[str]) -> None:
    assert trace(capfd, "pod/shop/api-0", "192.168.10.2:30080", "--detail", "minimal").splitlines() == [
        "REACHABLE OK",
        "1/2 DELIVERED OK 10.244.1.10:8080 sees 192.168.10.2 snat cniSnat",
        "1/2 DELIVERED OK 10.244.2.10:8080 sees 10.244.2.1 snat cniSnat",
    ]


def test_full_shows_every_rule_met_with_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    out = trace(capfd, POD, SERVICE, "--detail", "full", "--return")
    for part in (
        "ROUTE eth0",
        "conntrack: ",
        '--comment "kubernetes service portals" -j KUBE-SERVICES',
        "end of chain",
    ):
        assert part in out


def test_json_is_the_contracts(capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(trace(capfd, POD, SERVICE, "-o", "json", "--return"))
    keys = "schema id query verdict code summary qualified outcomes notes hints"
    assert list(document) == keys.split()
    assert document["schema"] == "netsim.trace/v1"
    assert document["query"] == {"from": POD, "to": SERVICE, "via": None, "protocol": "tcp", "proxyMode": "iptables"}
    outcome = document["outcomes"][0]
    assert list(outcome)[:7] == ["probability", "disposition", "code", "endpoint", "serverSees", "snat", "cniSnat"]
    assert outcome["probability"] == "1/3"
    assert outcome["endpoint"] == {"ip": "10.244.1.11", "port": 9000, "pod": "shop/api-0", "node": "node-1"}
    assert outcome["serverSees"] == {"ip": "10.244.1.10"}
    hop = outcome["hops"][1]
    assert (hop["host"], hop["netns"], hop["out"]) == ("node-1", "node-1", "cni0")
    step = next(step for step in hop["steps"] if step["verdict"].startswith("DNAT"))
    keys = "hook table chain rule verdict before after mark origin"
    assert list(step)[:9] == keys.split()
    assert step["before"] == {"src": "10.244.1.10", "sport": 40000, "dst": "10.96.20.1", "dport": 80}
    assert step["after"]["dst"] == "10.244.1.11"
    assert step["origin"]["kind"] == "Pod"
    assert outcome["returnHops"]


def test_yaml_says_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    as_json = json.loads(trace(capfd, POD, SERVICE, "-o", "json"))
    assert yaml.safe_load(trace(capfd, POD, SERVICE, "-o", "yaml")) == as_json


def test_minimal_json_has_no_hops(capfd: pytest.CaptureFixture[str]) -> None:
    document = json.loads(trace(capfd, POD, SERVICE, "-o", "json", "--detail", "minimal", "--return"))
    assert not {"hops", "returnHops"} & set(document["outcomes"][0])


@pytest.mark.parametrize(
    ("target", "expectation", "code"),
    [
        pytest.param(SERVICE, "REACHABLE", 0, id="a-verdict-met"),
        pytest.param(SERVICE, "delivered", 0, id="a-disposition-of-every-outcome"),
        pytest.param(SERVICE, "DROPPED", 1, id="not-met"),
        pytest.param("10.96.20.1:81", "NO_ROUTE", 0, id="no-route"),
        pytest.param("10.96.20.1:81", "UNREACHABLE", 0, id="its-verdict"),
        pytest.param(SERVICE, "REACHED", 2, id="a-word-that-is-neither"),
    ],
)
def test_expect(target: str, expectation: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    trace(capfd, POD, target, "--expect", expectation, code=code)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param([POD], "name FROM and TO", id="no-destination"),
        pytest.param(["pod/shop/frontend-9", SERVICE], "did you mean 'shop/frontend-", id="no-such-pod"),
        pytest.param([POD, "svc/shop/ap:80"], "did you mean 'shop/api'?", id="no-such-service"),
        pytest.param(["external", SERVICE, "--via", "node/node-7"], "no such node", id="no-such-node"),
        pytest.param([POD, "svc/shop/api"], "which port?", id="two-ports"),
        pytest.param([POD, SERVICE, "--protocol", "tcpp"], "did you mean 'tcp'?", id="no-such-protocol"),
        pytest.param([POD, SERVICE, "--pick", "shop/db-0"], "no outcome goes there", id="a-pick-that-is-no-endpoint"),
        pytest.param([POD, SERVICE, "--ruleset", "node-1"], "write NODE=FILE", id="a-dump-without-file"),
        pytest.param([POD, SERVICE, "--ruleset", "node-1=/nowhere"], "No such file", id="a-dump-that-is-not-there"),
        pytest.param([POD, SERVICE, "--ruleset", "node-x=/nowhere"], "no such node", id="a-dump-of-no-node"),
    ],
)
def test_bad_words_are_exit_2(words: list[str], problem: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "-q", "-f", SHOP, *words]) == 2
    output = capfd.readouterr()
    assert problem in output.err
    assert "Traceback" not in output.err
    assert output.out == ""


def queries(tmp_path: Path, *lines: object) -> str:
    path = tmp_path / "queries.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return str(path)


def test_queries_are_answered_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    listed = [{"id": [number], "from": POD, "to": target} for number, (_, target) in enumerate(QUESTIONS[:4])]
    out = trace(capfd, "--queries", queries(tmp_path, *listed))
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["id"] for answer in answers] == [[0], [1], [2], [3]]
    assert [answer["verdict"] for answer in answers] == ["REACHABLE", "REACHABLE", "REACHABLE", "UNREACHABLE"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("not json", "not a JSON object", id="not-json"),
        pytest.param([1], "not a JSON object", id="not-an-object"),
        pytest.param({"from": POD}, "needs `from` and `to`", id="no-destination"),
        pytest.param({"from": 5, "to": SERVICE}, "`from` is not a string", id="a-number"),
        pytest.param({"from": POD, "to": SERVICE, "sourcePort": "x"}, "sourcePort", id="a-port-that-is-none"),
        pytest.param({"from": POD, "to": SERVICE, "ct": "old"}, "ct 'old'", id="a-state-that-is-none"),
        pytest.param({"from": POD, "to": SERVICE, "expect": "YES"}, "expect 'YES'", id="an-expectation-that-is-none"),
    ],
)
def test_a_bad_line_is_answered_in_its_place(
    line: object, problem: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = {"id": 1, "from": POD, "to": SERVICE}
    out = trace(capfd, "--queries", queries(tmp_path, good, line, {**good, "id": 2}), code=2)
    first, bad, last = (json.loads(text) for text in out.splitlines())
    assert (first["id"], last["id"]) == (1, 2)
    assert problem in bad["error"]


def test_an_expectation_of_a_query_that_is_not_met_is_exit_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = {"from": POD, "to": SERVICE, "expect": "REACHABLE"}
    trace(capfd, "--queries", queries(tmp_path, good))
    trace(capfd, "--queries", queries(tmp_path, good, {**good, "expect": "DROPPED"}), code=1)


def test_a_dump_of_the_compiled_rules_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compile", "-q", "-f", SHOP, "--node", "node-1", "-o", "save"]) == 0
    dump = tmp_path / "node-1.save"
    # A real node's dump holds the CNI's rules as well.
    saved = capfd.readouterr().out
    added = (
        "POSTROUTING -s 10.244.1.0/24 -j CNI-MASQ",
        "CNI-MASQ -d 10.244.0.0/16 -j RETURN",
        "CNI-MASQ -j MASQUERADE",
    )
    cni = "".join(f"-A {rule}\n" for rule in added)
    head, nat, tail = saved.partition("*nat\n")
    body, commit, rest = tail.partition("COMMIT")
    dump.write_text(f"{head}{nat}:CNI-MASQ - [0:0]\n{body}{cni}{commit}{rest}")
    for source, target in QUESTIONS[:5]:
        plain = json.loads(trace(capfd, source, target, "-o", "json", "--detail", "minimal"))
        dumped = json.loads(
            trace(capfd, source, target, "-o", "json", "--detail", "minimal", "--ruleset", f"node-1={dump}")
        )
        assert dumped == plain
    out = trace(capfd, POD, SERVICE, "--ruleset", f"node-1={dump}")
    assert "[Service shop/api spec.ports[0] (" in out


def test_rules_that_no_manifest_explains_are_marked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    firewall = tmp_path / "firewall.save"
    firewall.write_text(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FW - [0:0]\n"
        "-A FORWARD -j FW\n-A FW -d 10.244.2.0/24 -p tcp -j DROP\nCOMMIT\n"
    )
    out = trace(capfd, POD, SERVICE, "--ruleset", f"node-1={firewall}")
    assert out.startswith("PARTIAL DROPPED_BY_RULE")
    assert "because of filter -A FW -d 10.244.2.0/24 -p tcp -j DROP  [no manifest explains this rule]" in out


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i cali+ -m comment --comment x -j DROP\nCOMMIT\n",
            id="iptables",
        ),
        pytest.param(
            "table inet cni {\n\tchain fwd {\n\t\ttype filter hook forward priority filter; policy accept;\n"
            '\t\tiifname "cali*" drop\n\t}\n}\n',
            id="nft",
        ),
    ],
)
def test_a_dump_of_another_cni_qualifies_the_answer(
    text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dump = tmp_path / "calico.save"
    dump.write_text(text)
    assert run(["trace", "-f", SHOP, POD, SERVICE, "--ruleset", f"node-1={dump}", "-o", "json"]) == 0
    out, err = capfd.readouterr()
    answer = json.loads(out)
    assert (answer["qualified"], [note["code"] for note in answer["notes"]]) == (True, ["CNI_ASSUMED"])
    assert err.count("rules of node-1 name interfaces of another CNI (cali") == 1


def test_a_dump_that_cannot_be_read_names_the_place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.save"
    bad.write_text("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING --nonsense\nCOMMIT\n")
    assert run(["trace", "-q", "-f", SHOP, POD, SERVICE, "--ruleset", f"node-1={bad}"]) == 2
    assert f"{bad}:3:" in capfd.readouterr().err
    bad.write_text("nothing of the kind\n")
    assert run(["trace", "-q", "-f", SHOP, POD, SERVICE, "--ruleset", f"node-1={bad}"]) == 2
    assert "not the output of iptables-save" in capfd.readouterr().err


def test_an_unknown_match_is_undetermined_and_names_the_rule(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dump = tmp_path / "odd.save"
    dump.write_text("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m xbox --level 9 -j DROP\nCOMMIT\n")
    document = json.loads(trace(capfd, POD, SERVICE, "-o", "json", "--ruleset", f"node-1={dump}"))
    assert (document["verdict"], document["code"]) == ("UNDETERMINED", "UNKNOWN_RULE")
    assert "xbox" in document["outcomes"][0]["rule"]["rule"]


def test_colour_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert "\033[" not in trace(capfd, POD, SERVICE)
    assert trace(capfd, POD, SERVICE, "--color", "always").startswith("\033[1;32mREACHABLE")


def test_notes_go_to_stderr_and_into_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "-f", SHOP, POD, "pod/shop/api-0:9999", "-o", "json"]) == 0
    output = capfd.readouterr()
    assert "PORT_NOT_DECLARED" in output.err
    assert "PORT_NOT_DECLARED" in {note["code"] for note in json.loads(output.out)["notes"]}
