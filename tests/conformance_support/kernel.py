"""Where packets really went (tests/conformance/kernel), against what the model answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netsim.trace.answer import Answer, Outcome
from netsim.trace.query import TraceQuery
from netsim.trace.sequence import Sequence
from netsim.trace.tracer import Tracer
from tests.conformance_support.flows import ROOT

SILENT = {"DROPPED", "NO_ROUTE"}


def kernel_cases(mode: str) -> list[Path]:
    return sorted(path for path in (ROOT / "kernel").iterdir() if (path / f"{mode}.jsonl").is_file())


def read_rows(case: Path, mode: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (case / f"{mode}.jsonl").read_text().splitlines()]


def row_differences(row: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    """Yield how an answer differs from what was recorded."""
    if "error" in answer:
        yield answer["error"]
        return
    observed, outcomes = row["observed"], answer["outcomes"]
    dispositions = {o["disposition"] for o in outcomes}
    match observed["verdict"]:
        case "DELIVERED":
            fine = dispositions == {"DELIVERED"}
        case "REFUSED":
            fine = dispositions == {"REFUSED"}
        case "TIMEOUT":
            fine = dispositions <= SILENT
        case "MIXED":
            fine = answer["verdict"] == "PARTIAL"
        case _:
            fine = answer["verdict"] == "UNREACHABLE"
    if not fine:
        yield f"recorded {observed['verdict']}, answered {sorted(dispositions)} ({answer['code']})"
    yield from _endpoint_differences(row, outcomes)


def _endpoint_differences(row: dict[str, Any], outcomes: list[dict[str, Any]]) -> Iterator[str]:
    seen: dict[str, set[str]] = {}
    for outcome in outcomes:
        if outcome["disposition"] == "DELIVERED":
            seen.setdefault(place_text(outcome["endpoint"]), set()).add(outcome["serverSees"]["ip"])
    recorded = row["observed"].get("endpoints")
    if recorded is None:
        return
    if row.get("sequence"):
        if not set(recorded) <= set(seen):
            yield f"endpoints {sorted(recorded)} not among {sorted(seen)}"
    elif set(recorded) != set(seen):
        yield f"endpoints {sorted(seen)}, recorded {sorted(recorded)}"
    for endpoint, sources in row["observed"]["serverSeesBy"].items():
        if endpoint in seen and set(sources) != seen[endpoint]:
            yield f"{endpoint} sees {sorted(seen[endpoint])}, recorded {sorted(sources)}"


def place_text(place: dict[str, Any]) -> str:
    ip = place["ip"]
    return f"[{ip}]:{place['port']}" if ":" in ip else f"{ip}:{place['port']}"


def sequence_differences(tracer: Tracer, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield where connections one after another go elsewhere than recorded; affinity lives on through the file."""
    sequence = Sequence(tracer)
    for row in rows:
        query = TraceQuery(row["from"], row["to"], row["via"], row["protocol"])
        # Groups of three connections, so many seconds apart, where pauses were made.
        pause = row.get("pauseSeconds", 0)
        for number, recorded in enumerate(row["sequence"]):
            if pause and number and number % 3 == 0:
                sequence.wait(pause)
            answer, _ = sequence.connect(query, lambda found, wanted=recorded: _choose(found, wanted))
            known = {_endpoint_of(outcome) for outcome in answer.outcomes}
            if recorded not in known:
                yield f"{row['id']} #{number}: {recorded} is not among {sorted(known)}"
            elif number and not pause and row["sticky"] and len(known) > 1:
                yield f"{row['id']} #{number}: not sticky, {sorted(known)} are possible"


def _choose(answer: Answer, recorded: str) -> Outcome:
    found = [outcome for outcome in answer.outcomes if _endpoint_of(outcome) == recorded]
    return (found or list(answer.outcomes))[0]


def _endpoint_of(outcome: Outcome) -> str:
    # The recorder writes ERR for a connection that failed.
    return outcome.endpoint.text if outcome.endpoint else "ERR"
