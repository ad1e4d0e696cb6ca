"""Answers as JSON (the command line's contract) and as dig prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netsim.dns.asked import Asked, resolution_hints, wasted
from netsim.dns.records import Answer, Edns, Record, Records
from netsim.dns.resolve import Resolution
from netsim.dns.stub.wire import Sent

SCHEMA, LOOKUP_SCHEMA = "netsim.dns/v1", "netsim.dns.lookup/v1"


def record_json(record: Record) -> dict[str, Any]:
    """Return one record's object."""
    return {"name": record[0], "ttl": record[1], "type": record[2], "rdata": record[3]}


def edns_json(edns: Edns | None) -> dict[str, Any] | None:
    """Return the OPT record's object, null without one."""
    if edns is None:
        return None
    options = [list(option) for option in edns.options]
    return {"version": edns.version, "payload": edns.payload, "do": edns.do, "options": options}


def answer_json(asked: Asked) -> dict[str, Any]:
    """Return the contract's object; a reply that never comes has `timeout` and no rcode."""
    answer, query = asked.answer, asked.answer.query
    question = {"name": query.name, "type": query.type}
    if query.qclass != "IN":
        question["class"] = query.qclass
    head: dict[str, Any] = {"schema": SCHEMA, "id": None, "question": question}
    if query.opcode != "QUERY":
        head["opcode"] = query.opcode
    if answer.timeout:
        head["timeout"] = True
    else:
        head["rcode"] = answer.rcode
        head["flags"] = answer.flags
    head["answer"] = [record_json(record) for record in answer.answer]
    head["authority"] = [record_json(record) for record in answer.authority]
    head["additional"] = [record_json(record) for record in answer.additional]
    head["edns"] = edns_json(answer.edns)
    head["wireLength"] = answer.wire_length
    head["queries"] = [packet.as_json() for packet in asked.queries]
    if asked.queries:
        head["wasted"] = wasted(asked.queries)
        head["hints"] = list(asked.hints)
    return head


def lookup_json(resolution: Resolution, libc: str, api: str) -> dict[str, Any]:
    """Return a look-up's object; `error` is null when there is an address or name."""
    return {
        "schema": LOOKUP_SCHEMA,
        "id": None,
        "name": resolution.host,
        "libc": libc,
        "api": api,
        "queries": [packet.as_json() for packet in resolution.queries],
        "addresses": list(resolution.addresses),
        "error": resolution.error or None,
        "code": resolution.code,
        "canonicalName": resolution.name or None,
        "aliases": list(resolution.aliases),
        "wasted": resolution.wasted,
        "hints": list(resolution_hints(resolution)),
    }


def short(answer: Answer) -> str:
    """Return the answer section's rdata, one a line, as `dig +short`."""
    return "".join(f"{record.rdata}\n" for record in answer.answer)


def answer_text(asked: Asked, name: str) -> str:
    """Return an answer as dig prints it, with the questions that were sent for it."""
    answer, query = asked.answer, asked.answer.query
    lines = [f"; <<>> netsim dns <<>> {name} {query.type}"]
    lines += sent_text(asked.queries)
    lines += [f";; hint: {hint}" for hint in asked.hints]
    if answer.timeout:
        return "\n".join((*lines, ";; connection timed out; no servers could be reached", ""))
    lines += [_header(answer), ""]
    lines += _opt(answer.edns)
    if answer.has_question:
        lines += [";; QUESTION SECTION:", f";{query.name}\t\t{query.qclass}\t{query.type}", ""]
    for title, section in (
        ("ANSWER", answer.answer),
        ("AUTHORITY", answer.authority),
        ("ADDITIONAL", answer.additional),
    ):
        if section:
            lines += [f";; {title} SECTION:", *zone_lines(section), ""]
    server = f";; SERVER: {asked.server}#53({query.transport.upper()})" if asked.server else ""
    return "\n".join((*lines, *filter(None, (server,)), f";; MSG SIZE  rcvd: {answer.wire_length}", ""))


def zone_lines(records: Iterable[Record]) -> list[str]:
    """Return records as lines of a zone file, in columns."""
    listed = list(records)
    name = max((len(record.name) for record in listed), default=0)
    kind = max((len(record.type) for record in listed), default=0)
    return [f"{r.name.ljust(name)}  {str(r.ttl).rjust(5)}  IN  {r.type.ljust(kind)}  {r.rdata}" for r in listed]


def _header(answer: Answer) -> str:
    def count(section: Records) -> int:
        return len(section)

    additional = count(answer.additional) + (answer.edns is not None)
    counts = f"QUERY: {int(answer.has_question)}, ANSWER: {count(answer.answer)}, "
    counts += f"AUTHORITY: {count(answer.authority)}, ADDITIONAL: {additional}"
    flags = " ".join(answer.flags)
    return f";; ->>HEADER<<- opcode: {answer.query.opcode}, status: {answer.rcode}\n;; flags: {flags}; {counts}"


def _opt(edns: Edns | None) -> list[str]:
    if edns is None:
        return []
    flags = "; flags: do" if edns.do else "; flags:"
    options = [f"; OPT={code}: {data}" for code, data in edns.options]
    return [";; OPT PSEUDOSECTION:", f"; EDNS: version: {edns.version}{flags}; udp: {edns.payload}", *options]


def sent_text(sent: tuple[Sent, ...]) -> list[str]:
    """Return the packets of a look-up, numbered, with what each brought."""
    if not sent:
        return []
    width = max(len(packet.name) for packet in sent)
    lines = [f";; {len(sent)} questions sent, {wasted(sent)} of them without a record in answer:"]
    for number, packet in enumerate(sent, 1):
        got = packet.rcode or ("refused" if packet.refused else "no answer")
        got += f", {packet.answers} records" if packet.answers else ""
        tcp = " tcp" if packet.tcp else ""
        lines.append(f";;  {number:2}  {packet.name.ljust(width)}  {packet.type:4}  @{packet.to}{tcp}  {got}")
    return lines


def lookup_text(resolution: Resolution, libc: str, api: str) -> str:
    """Return a look-up for people: packets, then addresses or the error."""
    lines = [f"; <<>> netsim dns --lookup <<>> {resolution.host} ({libc}, {api})"]
    lines += sent_text(resolution.queries) or [";; no question sent"]
    lines += [f";; hint: {hint}" for hint in resolution_hints(resolution)]
    if resolution.error:
        lines.append(f";; {resolution.code}: {resolution.error}")
    lines += resolution.addresses or filter(None, (resolution.name,))
    return "\n".join((*lines, ""))
