"""kube-proxy's own packet-flow tables (tests/conformance/flows)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent / "conformance"


def flow_cases(mode: str) -> list[Path]:
    return sorted(path for path in (ROOT / "flows" / mode).iterdir() if path.is_dir())


def flags_of(case: Path) -> list[str]:
    return (case / "flags").read_text().split()


def read_flows(case: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (case / "flows.jsonl").read_text().splitlines()]


def flow_differences(flow: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    """Yield how an answer differs from what the table expects."""
    expect, outcomes = flow["expect"], answer.get("outcomes", [])
    if "error" in answer:
        yield answer["error"]
        return
    endpoints = {_text(o["endpoint"]) for o in outcomes if o["endpoint"]}
    dispositions = {o["disposition"] for o in outcomes}
    if "endpoints" in expect:
        if endpoints != set(expect["endpoints"]):
            yield f"endpoints {sorted(endpoints)}, not {sorted(expect['endpoints'])} ({answer['summary']})"
        if {o["snat"] for o in outcomes} != {expect["masquerade"]}:
            yield f"snat is not {expect['masquerade']}"
        return
    match expect["verdict"]:
        case "REJECT":
            fine = dispositions == {"REFUSED"}
        case "DROP":
            fine = dispositions == {"DROPPED"}
        case "ACCEPT":
            fine = dispositions == {"DELIVERED"} and endpoints == {flow["to"]}
        case _:
            # UNTOUCHED: no rule translates or refuses it.
            fine = not any(o.get("rule") for o in outcomes) and endpoints <= {flow["to"]}
    if not fine:
        yield f"{expect['verdict']} expected, got {sorted(dispositions)} {answer['code']}"


def _text(place: dict[str, Any]) -> str:
    ip = place["ip"]
    return f"[{ip}]:{place['port']}" if ":" in ip else f"{ip}:{place['port']}"
