"""An answer as the contract's JSON (`netsim.trace/v1`), as plain data in the documented key order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from iptables_gen.values import format_ip
from netsim.packet.packet import Packet
from netsim.trace.answer import Answer, HttpStep, Lookup, Outcome, Place
from netsim.trace.passage import Sent
from netsim.trace.steps import Step, steps_of
from netsim.trace.walk import Hop

Detail = Literal["minimal", "summary", "full"]


def answer_json(
    answer: Answer, *, identity: object = None, detail: Detail = "summary", back: bool = False
) -> dict[str, Any]:
    """Return the answer; `back` adds returnHops, `minimal` leaves all hops out, `full` adds the kernel's decisions."""
    asked = answer.asked
    return {
        "schema": "netsim.trace/v1",
        "id": identity,
        "query": {
            "from": asked.source,
            "to": asked.target,
            "via": asked.via,
            "protocol": asked.protocol,
            "proxyMode": asked.mode,
        },
        "verdict": answer.verdict,
        "code": answer.code,
        "summary": answer.summary,
        "qualified": answer.qualified,
        **({"resolution": lookup_json(answer.lookup)} if answer.lookup else {}),
        **({"http": [http_json(step) for step in answer.http]} if answer.http else {}),
        "outcomes": [outcome_json(outcome, detail=detail, back=back) for outcome in answer.outcomes],
        "notes": [{"code": note.code, "text": note.text} for note in answer.notes],
        "hints": [{"code": hint.code, "text": hint.text} for hint in answer.hints],
    }


def http_json(step: HttpStep) -> dict[str, Any]:
    """Return what a proxy decided, with the keys of `netsim.route/v1`."""
    return {"client": step.client, **step.decision}


def lookup_json(lookup: Lookup) -> dict[str, Any]:
    """Return how a name was resolved; `paths` says of each nameserver what became of the questions sent to it."""
    return {
        "name": lookup.name,
        "code": lookup.code,
        "addresses": list(lookup.addresses),
        "queries": [
            {"q": item.name, "type": item.type, "to": item.server, "rcode": item.rcode, "answers": item.answers}
            for item in lookup.questions
        ],
        "paths": [
            {
                "to": server,
                "verdict": path.verdict,
                "code": path.code,
                "outcomes": [outcome_json(outcome, detail="minimal", back=False) for outcome in path.outcomes],
            }
            for server, path in lookup.paths
        ],
    }


def outcome_json(outcome: Outcome, *, detail: Detail, back: bool) -> dict[str, Any]:
    """Return one outcome."""
    family = outcome.endpoint.family if outcome.endpoint else None
    sees = None
    if family is not None and outcome.server_sees is not None:
        sees = {"ip": format_ip(family, outcome.server_sees)}
    found: dict[str, Any] = {
        "probability": str(outcome.probability),
        "disposition": outcome.disposition,
        "code": outcome.code,
        "endpoint": place_json(outcome.endpoint),
        "serverSees": sees,
        "snat": outcome.snat,
        "cniSnat": outcome.cni_snat,
    }
    if outcome.reached is not None and outcome.endpoint is None:
        found["reached"] = place_json(outcome.reached)
    if outcome.rule is not None:
        found["rule"] = rule_json(outcome)
    if detail != "minimal":
        found["hops"] = [hop_json(hop, detail) for hop in outcome.hops]
        if back:
            found["returnHops"] = [hop_json(hop, detail) for hop in outcome.back]
    return found


def rule_json(outcome: Outcome) -> dict[str, Any]:
    """Return the rule that decided an outcome which was not delivered."""
    rule = outcome.rule
    assert rule is not None
    origin = rule.origin
    return {
        "table": rule.table,
        "chain": rule.chain,
        "rule": rule.text,
        "origin": None if origin is None else origin.as_json(),
        **({"reason": outcome.detail} if outcome.disposition == "UNDETERMINED" else {}),
    }


def place_json(place: Place | None) -> dict[str, Any] | None:
    """Return an endpoint."""
    if place is None:
        return None
    return {"ip": format_ip(place.family, place.address), "port": place.port, "pod": place.pod, "node": place.node}


def hop_json(hop: Hop, detail: Detail) -> dict[str, Any]:
    """Return one host of the way with its steps."""
    host = hop.machine.host
    end = hop.passage.end
    return {
        "host": host.node or host.name,
        "netns": "/".join(host.pod) if host.pod else host.name,
        "in": hop.port or None,
        "out": end.interface if isinstance(end, Sent) else None,
        "steps": [step_json(step) for step in steps_of(hop, full=detail == "full")],
    }


def step_json(step: Step) -> dict[str, Any]:
    """Return one step."""
    origin = step.origin
    return {
        "hook": step.hook,
        "table": step.table,
        "chain": step.chain,
        "rule": step.text if step.rule is None else step.rule.text,
        "verdict": step.verdict,
        "before": header_json(step.before),
        "after": header_json(step.after),
        "mark": f"{step.after.mark:#x}",
        "origin": None if origin is None else origin.as_json(),
        "program": step.program,
    }


def header_json(packet: Packet) -> dict[str, Any]:
    """Return what translation can change."""
    return {
        "src": format_ip(packet.family, packet.src),
        "sport": packet.sport,
        "dst": format_ip(packet.family, packet.dst),
        "dport": packet.dport,
    }


def pretty(document: Any) -> str:
    """Return JSON with indent 2."""
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_yaml(document: Any) -> str:
    """Return the same data as YAML, keys in order."""
    import yaml

    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=False, allow_unicode=True, width=100000)
    return str(text)


def lines(documents: Iterable[Any]) -> list[bytes]:
    """Return each document as one compact JSON line."""
    import orjson

    return [orjson.dumps(document) + b"\n" for document in documents]
