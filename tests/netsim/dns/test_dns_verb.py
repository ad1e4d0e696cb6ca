"""`netsim dns` on the command line: text, short, JSON and YAML forms, modes, query files, all kinds of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from netsim.cli.main import run
from tests.netsim.dns.dns_recorded import RECORDED

BASIC = RECORDED / "dns" / "c01-basic"
INPUT = ["dns", "-q", "-f", str(BASIC / "manifests"), "--corefile", str(BASIC / "corefile")]
UPSTREAM = ["--upstream", str(BASIC / "upstream.json")]


def out(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run([*INPUT, *words]) == code
    return capfd.readouterr().out


def test_text_is_digs(capfd: pytest.CaptureFixture[str]) -> None:
    text = out(capfd, "web.prod.svc.cluster.local", "SRV")
    assert text == (
        "; <<>> netsim dns <<>> web.prod.svc.cluster.local SRV\n"
        ";; ->>HEADER<<- opcode: QUERY, status: NOERROR\n"
        ";; flags: qr aa rd; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1\n"
        "\n"
        ";; QUESTION SECTION:\n"
        ";web.prod.svc.cluster.local.\t\tIN\tSRV\n"
        "\n"
        ";; ANSWER SECTION:\n"
        "web.prod.svc.cluster.local.     30  IN  SRV  0 33 80 web.prod.svc.cluster.local.\n"
        "web.prod.svc.cluster.local.     30  IN  SRV  0 33 443 web.prod.svc.cluster.local.\n"
        "\n"
        ";; ADDITIONAL SECTION:\n"
        "web.prod.svc.cluster.local.     30  IN  A  10.96.10.2\n"
        "\n"
        ";; SERVER: 10.96.0.10#53(UDP)\n"
        ";; MSG SIZE  rcvd: 230\n"
    )


def test_json_is_the_contracts(capfd: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(out(capfd, "web.prod.svc.cluster.local", "-o", "json"))
    keys = [
        "schema",
        "id",
        "question",
        "rcode",
        "flags",
        "answer",
        "authority",
        "additional",
        "edns",
        "wireLength",
        "queries",
    ]
    assert list(answer)[: len(keys)] == keys
    assert answer["schema"] == "netsim.dns/v1"
    assert answer["question"] == {"name": "web.prod.svc.cluster.local.", "type": "A"}
    assert answer["answer"] == [{"name": "web.prod.svc.cluster.local.", "ttl": 30, "type": "A", "rdata": "10.96.10.2"}]
    assert answer["queries"] == []


def test_yaml_says_what_json_says(capfd: pytest.CaptureFixture[str]) -> None:
    forms = [out(capfd, "web.prod.svc.cluster.local", "-o", form) for form in ("json", "yaml")]
    assert json.loads(forms[0]) == yaml.safe_load(forms[1])


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["db.prod.svc.cluster.local"], "10.244.2.31\n10.244.2.32\n10.244.2.33\n"),
        (
            ["web.prod.svc.cluster.local", "srv"],
            "0 33 80 web.prod.svc.cluster.local.\n0 33 443 web.prod.svc.cluster.local.\n",
        ),
        (["-x", "10.96.10.2"], "web.prod.svc.cluster.local.\n"),
        (["missing.prod.svc.cluster.local"], ""),
        (["example.com", "MX", *UPSTREAM], "10 mail.example.com.\n"),
        (
            ["cluster.local", "SOA", "--serial", "7"],
            "ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 30\n",
        ),
        (["ns.dns.cluster.local", "--coredns-ip", "10.9.9.9,fd00::9"], "10.9.9.9\n"),
        (["web.prod", "--from", "pod/prod/db-0"], "10.96.10.2\n"),
        (["web", "-n", "prod", "--from", "pod/db-0", "--libc", "musl"], "10.96.10.2\n"),
        (["--lookup", "ext.prod", "--from", "pod/prod/db-0", *UPSTREAM], "93.184.216.34\n2606:2800:220:1::1\n"),
        (
            ["--lookup", "10.96.0.1", "--api", "nameinfo", "--from", "pod/prod/db-0"],
            "kubernetes.default.svc.cluster.local\n",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_short(capfd: pytest.CaptureFixture[str], words: list[str], want: str) -> None:
    assert out(capfd, *words, "--short") == want


def test_flags_of_the_question(capfd: pytest.CaptureFixture[str]) -> None:
    words = ("web.prod.svc.cluster.local", "--norecurse", "--dnssec", "--bufsize", "900", "-o", "json")
    answer = json.loads(out(capfd, *words))
    assert answer["flags"] == ["qr", "aa"]
    assert answer["edns"] == {"version": 0, "payload": 900, "do": True, "options": []}


def test_from_a_pod_every_question_is_listed_with_what_would_save_them(capfd: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(
        out(capfd, "web.prod.svc.cluster.local", "--from", "pod/default/web-7d4b9c-aaaaa", "-o", "json")
    )
    assert len(answer["queries"]) == 8
    assert answer["queries"][0] == {
        "q": "web.prod.svc.cluster.local.default.svc.cluster.local.",
        "type": "A",
        "to": "10.96.0.10",
        "sock": "s0",
        "rcode": "NXDOMAIN",
        "answers": 0,
    }
    assert answer["wasted"] == 7
    assert answer["hints"] == ["write web.prod.svc.cluster.local. with its final dot: 2 questions instead of 8"]
    assert answer["rcode"] == "NOERROR"
    rooted = json.loads(
        out(capfd, "web.prod.svc.cluster.local.", "--from", "pod/default/web-7d4b9c-aaaaa", "-o", "json")
    )
    assert len(rooted["queries"]) == 2
    assert rooted["hints"] == []


def test_a_type_given_is_the_only_one_asked(capfd: pytest.CaptureFixture[str]) -> None:
    for kind in ("A", "SRV"):
        answer = json.loads(out(capfd, "web.prod", kind, "--from", "pod/prod/db-0", "-o", "json"))
        assert [query["type"] for query in answer["queries"]] == [kind] * 2


def test_text_from_a_pod(capfd: pytest.CaptureFixture[str]) -> None:
    text = out(capfd, "web.prod", "--from", "pod/prod/db-0")
    assert ";; 4 questions sent, 3 of them without a record in answer:" in text
    assert ";; hint: write web.prod.svc.cluster.local. with its final dot: 2 questions instead of 4" in text


def test_names_of_the_hosts_file_are_not_asked(capfd: pytest.CaptureFixture[str]) -> None:
    answer = json.loads(out(capfd, "db-0", "--from", "pod/prod/db-0", "-o", "json"))
    assert answer["queries"] == []
    assert "10.244.2.31 is known without DNS" in out(capfd, "db-0", "--from", "pod/prod/db-0")


def test_lookup_text_and_error(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 10.96.0.10\n")
    text = out(capfd, "--lookup", "missing.prod.svc.cluster.local", "--resolv-conf", str(conf))
    assert ";; NXDOMAIN: -2 Name or service not known" in text
    answer = json.loads(out(capfd, "--lookup", "web.prod.svc.cluster.local", "--resolv-conf", str(conf), "-o", "json"))
    assert answer["schema"] == "netsim.dns.lookup/v1"
    assert answer["error"] is None
    assert answer["addresses"] == ["10.96.10.2"]


def test_zone_lists_every_record(capfd: pytest.CaptureFixture[str]) -> None:
    lines = out(capfd, "--zone").splitlines()
    assert lines[0].split() == [
        "cluster.local.",
        "30",
        "IN",
        "SOA",
        "ns.dns.cluster.local.",
        "hostmaster.cluster.local.",
        "0",
        "7200",
        "1800",
        "86400",
        "30",
    ]
    assert any(line.split() == ["db-0.db.prod.svc.cluster.local.", "30", "IN", "A", "10.244.2.31"] for line in lines)
    assert any(
        line.split() == ["2.10.96.10.in-addr.arpa.", "30", "IN", "PTR", "web.prod.svc.cluster.local."] for line in lines
    )
    zone = json.loads(out(capfd, "--zone", "-o", "json"))
    assert zone["schema"] == "netsim.dns.zone/v1"
    assert len(zone["records"]) == len(lines)


def test_notes_and_qualified_when_a_plugin_is_not_modelled(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text(". {\n template IN A\n kubernetes cluster.local\n}\n")
    words = [
        "dns",
        "-f",
        str(BASIC / "manifests"),
        "--corefile",
        str(corefile),
        "web.prod.svc.cluster.local",
        "-o",
        "json",
    ]
    assert run(words) == 0
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    assert answer["qualified"] is True
    assert any(note["code"] == "NOT_MODELLED" and "template" in note["text"] for note in answer["notes"])
    assert "template" in captured.err


def test_world_outside_without_upstream_is_a_note(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([word for word in INPUT if word != "-q"] + ["example.com", "--short"]) == 0
    assert "NO_UPSTREAM" in capfd.readouterr().err


def queries(tmp_path: Path, *lines: str) -> list[str]:
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    return ["--queries", str(path)]


def test_query_files_answer_line_by_line(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = [
        '{"id": 1, "name": "web.prod.svc.cluster.local"}',
        '{"id": "b", "name": "web.prod.svc.cluster.local", "from": "pod/prod/db-0", "libc": "go"}',
        '{"id": null, "lookup": "missing", "from": "pod/prod/db-0"}',
        '{"id": [3], "name": "web.prod.svc.cluster.local", "type": "A", "from": "prod/db-0"}',
    ]
    answers = [json.loads(line) for line in out(capfd, *queries(tmp_path, *lines), *UPSTREAM).splitlines()]
    assert [answer["id"] for answer in answers] == [1, "b", None, [3]]
    assert [len(answer["queries"]) for answer in answers] == [0, 8, 8, 4]
    assert answers[2]["error"] == "-2 Name or service not known"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{}", "name"),
        ('{"name": 5}', "name"),
        ('{"name": "a..b"}', "'a..b' is not a domain name"),
        (f'{{"name": "{"x" * 64}.test"}}', "is not a domain name"),
        (f'{{"name": "{"x." * 128}test"}}', "is not a domain name"),
        ('{"name": "a", "type": "NOPE"}', "'NOPE' is not a record type"),
        ('{"name": "a", "type": 1}', "type: a text is needed"),
        ('{"name": "a", "qclass": "XX"}', "'XX' is not a class"),
        ('{"name": "a", "transport": "smtp"}', "transport: one of tcp, udp is needed"),
        ('{"name": "a", "opcode": "DANCE"}', "opcode: one of"),
        ('{"name": "a", "rd": 1}', "rd: true or false is needed"),
        ('{"name": "a", "edns": 1}', "edns: an object"),
        ('{"name": "a", "edns": {"payload": 70000}}', "edns: payload must be 0 to 65535"),
        ('{"name": "a", "edns": {"options": [[1, "xyz"]]}}', "is not [code, hex]"),
        ('{"name": "a", "src": "localhost"}', "src: 'localhost' is not an address"),
        ('{"name": "a", "from": "pod/prod/nobody"}', "pod prod/nobody is not in the input"),
        ('{"name": "a", "from": 7}', "from: a text is needed"),
        ('{"lookup": "a", "libc": "bionic"}', "libc: one of glibc, musl, go is needed"),
        ('{"lookup": "a", "clientIps": "10.1.1.1"}', "clientIps: a list of addresses is needed"),
    ],
)
def test_a_bad_line_is_answered_in_its_place(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, line: str, problem: str
) -> None:
    good = '{"id": 2, "name": "web.prod.svc.cluster.local"}'
    first, second = out(capfd, *queries(tmp_path, line, good), code=2).splitlines()
    assert set(json.loads(first)) == {"id", "error"}
    assert problem in json.loads(first)["error"]
    assert json.loads(second)["rcode"] == "NOERROR"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "give one of NAME"),
        (["a", "--zone"], "give one of NAME"),
        (["a..b"], "is not a domain name"),
        (["a", "NOPE"], "is not a record type"),
        (["-x", "web"], "write one address"),
        (["a", "--from", "pod/nobody"], "pod default/nobody is not in the input"),
        (["a", "--from", "a/b/c/d"], "names no pod"),
        (["a", "--corefile", "/nonexistent"], "/nonexistent: No such file"),
        (["a", "--upstream", "/nonexistent"], "/nonexistent: No such file"),
        (["a", "--coredns-ip", "x"], "--coredns-ip: 'x' is not an address"),
        (["a", "--dns-server", "10.1.1.1=oracle"], "write IP=KIND"),
        (["--serve", "nowhere"], "write ADDR:PORT"),
        (["--lookup", "a", "--resolv-conf", "/nonexistent"], "/nonexistent: No such file"),
        (["--queries", "/nonexistent"], "/nonexistent"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_usage_is_exit_2_with_a_sentence(capfd: pytest.CaptureFixture[str], words: list[str], problem: str) -> None:
    assert run([*INPUT, *words]) == 2
    captured = capfd.readouterr()
    assert problem in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "an object with records"),
        ("{", "upstream.json"),
        ('{"records": [["a", "A", 5]]}', "records[0]: [name, type, ttl, rdata] is needed"),
        ('{"records": [["a", "A", 5, "x"]]}', "records[0]: A 'x'"),
        ('{"servfail": "a"}', "servfail: a list of names is needed"),
    ],
)
def test_a_bad_upstream_file_is_exit_2(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "upstream.json"
    path.write_text(text)
    assert run([*INPUT, "a", "--upstream", str(path)]) == 2
    assert problem in capfd.readouterr().err


def test_untrusted_names_do_not_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    text = out(capfd, "a\x1b[31mb.test")
    assert "\x1b" not in text
    assert r"a\027[31mb.test." in text
