"""The recorded answers of CoreDNS 1.13.1: clusters, queries, and how an answer is compared with a recorded one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.dns.forward import read_upstream
from netsim.dns.open import ClusterDns, DnsOptions, open_dns
from netsim.dns.query import read_query
from netsim.dns.records import Answer, Query
from netsim.manifests.load import load

RECORDED = Path(__file__).parents[2] / "conformance"
CLUSTERS = sorted(path.parent for path in (RECORDED / "dns").glob("*/queries.json"))
LOOKUPS = sorted((RECORDED / "resolver").glob("*.json"))
QUESTION_KEYS = ("id", "name", "type", "qclass", "transport", "edns", "rd", "cd", "ad", "opcode", "src")
SECTIONS = ("answer", "authority", "additional")


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded question with the response expected now; `order` random or varies: compare as sets."""

    id: str
    question: dict[str, Any]
    response: dict[str, Any]
    order: str
    variants: tuple[dict[str, Any], ...] = ()

    @property
    def query(self) -> Query:
        return read_query({key: value for key, value in self.question.items() if key != "id"})


def recording(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "queries.json").read_text().replace("SERIAL", "0"))
    return found


def cases(folder: Path) -> Iterator[Case]:
    """Yield the questions in order; of a cached cluster each comes twice, first cold, then warm."""
    for entry in recording(folder)["queries"]:
        question = {key: entry[key] for key in QUESTION_KEYS if key in entry}
        order, variants = entry.get("order", "stable"), tuple(entry.get("variants", ()))
        yield Case(entry["id"], question, entry["response"], order, variants)
        if "second" in entry:
            second = entry["response"] if entry["second"] == "same" else entry["second"]
            yield Case(entry["id"] + " again", question, second, order)


@cache
def opened(folder: Path) -> ClusterDns:
    """Return the DNS of a recorded cluster, one for all tests (a cache in it remembers)."""
    return fresh(folder)


def fresh(folder: Path) -> ClusterDns:
    """Return the DNS of a recorded cluster, from its files alone (what they do not say is said by the recording)."""
    loaded = load((str(folder / "manifests"),), recursive=False)
    options = DnsOptions(
        corefile=(folder / "corefile").read_text(),
        upstream=read_upstream(json.loads((folder / "upstream.json").read_text()), "upstream.json"),
        coredns_ips=tuple(recording(folder)["coredns_ips"]),
    )
    return open_dns(build(loaded.objects, BuildOptions()), options)


def as_recorded(answer: Answer) -> dict[str, Any]:
    """Return an answer in the recording's form."""
    if answer.timeout:
        return {"timeout": True}
    query, edns = answer.query, answer.edns
    return {
        "rcode": answer.rcode,
        "flags": list(answer.flags),
        "opcode": query.opcode,
        "question": [[query.name, query.qclass, query.type]] if answer.has_question else [],
        "answer": [list(record) for record in answer.answer],
        "authority": [list(record) for record in answer.authority],
        "additional": [list(record) for record in answer.additional],
        "edns": edns
        and {
            "version": edns.version,
            "payload": edns.payload,
            "do": edns.do,
            "options": [list(option) for option in edns.options],
        },
        "wire_len": answer.wire_length,
    }


def difference(got: dict[str, Any], case: Case) -> str:
    """Return what differs from the recording, "" for nothing."""
    wanted = [case.response, *case.variants]
    if case.order != "stable":
        got, wanted = unordered(got), [unordered(response) for response in wanted]
    if any(got == response for response in wanted):
        return ""
    keys = sorted(key for key in {*got, *wanted[0]} if got.get(key) != wanted[0].get(key))
    shown = "; ".join(f"{key} is {got.get(key)!r}, recorded {wanted[0].get(key)!r}" for key in keys)
    return f"{case.id} {case.question['name']} {case.question['type']}: {shown}"


def unordered(response: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if key in SECTIONS else value for key, value in response.items()}


def prime(folder: Path) -> list[Query]:
    """Return what the recording had asked before: a cached owner is spelled as in the first question for it.

    Parts of a recording are kept back, so the first question, whose spelling an answer has, may be missing.
    """
    if not recording(folder).get("cached"):
        return []
    first: dict[tuple[str, str], Case] = {}
    for case in cases(folder):
        first.setdefault((case.question["name"].lower(), case.question["type"]), case)
    spelled = [(case, case.response["answer"][0][0]) for case in first.values() if case.response["answer"]]
    return [Query(owner, case.question["type"]) for case, owner in spelled if owner != case.question["name"]]
