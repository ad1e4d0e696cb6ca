"""Every recorded question to CoreDNS 1.13.1, in process, over the wire format, and through the installed command."""

from __future__ import annotations

import json
from pathlib import Path

import dns.message
import dns.rdatatype
import orjson
import pytest

from netsim.cli.main import run
from netsim.dns.names import best_zone
from netsim.dns.records import Record
from netsim.dns.wire import render
from tests.netsim.dns.dns_recorded import (
    CLUSTERS,
    LOOKUPS,
    SECTIONS,
    Case,
    as_recorded,
    cases,
    difference,
    fresh,
    opened,
    prime,
    recording,
)

by_cluster = pytest.mark.parametrize("folder", CLUSTERS, ids=lambda folder: folder.name)


def test_there_are_recordings() -> None:
    assert len(CLUSTERS) >= 27
    assert len(LOOKUPS) >= 45


@by_cluster
def test_library_answers_as_recorded(folder: Path) -> None:
    dns_ = opened(folder)
    for query in prime(folder):
        dns_.server.answer(query)
    found = [difference(as_recorded(dns_.server.answer(case.query)), case) for case in cases(folder)]
    assert [text for text in found if text] == []


@by_cluster
def test_reply_bytes_say_what_the_answer_says(folder: Path) -> None:
    """Our own sizes are arithmetic: they must be the length of the message, and its records those of the answer."""
    for case in cases(folder):
        answer = opened(folder).server.answer(case.query)
        reply = render(4711, answer)
        if reply is None:
            assert answer.timeout
            continue
        assert len(reply) == answer.wire_length, case.id
        parsed = dns.message.from_wire(reply, one_rr_per_rrset=True)
        for name in SECTIONS:
            got = [
                Record(s.name.to_text(), s.ttl, dns.rdatatype.to_text(s.rdtype), s[0].to_text())
                for s in getattr(parsed, name)
            ]
            assert got == list(getattr(answer, name)), case.id


@by_cluster
def test_command_answers_as_recorded(folder: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    listed = [Case("prime", {"name": q.name, "type": q.type}, {}, "") for q in prime(folder)]
    listed += cases(folder)
    questions = tmp_path / "queries.jsonl"
    questions.write_text("".join(json.dumps(case.question) + "\n" for case in listed))
    words = ["dns", "-f", str(folder / "manifests"), "--corefile", str(folder / "corefile")]
    words += ["--upstream", str(folder / "upstream.json"), "--coredns-ip", ",".join(recording(folder)["coredns_ips"])]
    code = run([*words, "--queries", str(questions)])
    answers = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert code == 0
    assert len(answers) == len(listed)
    found = [
        difference(from_json(answer, case), case) for answer, case in zip(answers, listed, strict=True) if case.order
    ]
    assert [text for text in found if text] == []


def from_json(answer: dict[str, object], case: Case) -> dict[str, object]:
    """Return the command's object in the recording's form."""
    assert answer["schema"] == "netsim.dns/v1"
    assert answer["id"] == case.question["id"]
    assert answer["question"]["name"] == case.question["name"]  # type: ignore[index]
    if answer.get("timeout"):
        assert "rcode" not in answer
        return {"timeout": True}
    records = {
        section: [[r["name"], r["ttl"], r["type"], r["rdata"]] for r in answer[section]]  # type: ignore[attr-defined]
        for section in SECTIONS
    }
    same = {key: case.response[key] for key in ("opcode", "question") if key in case.response}
    head = {
        "rcode": answer["rcode"],
        "flags": answer["flags"],
        "edns": answer["edns"],
        "wire_len": answer["wireLength"],
    }
    return {**same, **head, **records}


TIMELINES = sorted(CLUSTERS[0].parent.glob("*/timeline.json"))


@pytest.mark.parametrize("path", TIMELINES, ids=lambda path: path.parent.name)
def test_cache_counts_down_as_recorded(path: Path) -> None:
    """A fresh server at the recorded seconds; the serial is the recorded run's own."""
    dns_ = fresh(path.parent)
    for step in json.loads(path.read_text())["steps"]:
        case = Case(
            f"at {step['at']}", {"name": step["name"], "type": step["type"]}, without_serial(step["response"]), "stable"
        )
        answer = dns_.server.answer(case.query, step["at"])
        assert difference(without_serial(as_recorded(answer)), case) == ""


def without_serial(response: dict[str, object]) -> dict[str, object]:
    authority = [
        [*record[:3], " ".join(word for index, word in enumerate(record[3].split()) if index != 2)]
        if record[2] == "SOA" and best_zone(record[0], ("cluster.local.",))
        else record
        for record in response["authority"]  # type: ignore[attr-defined]
    ]
    return {**response, "authority": authority}
