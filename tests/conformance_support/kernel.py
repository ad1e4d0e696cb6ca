"""Where packets really went (tests/conformance/kernel), against what the model answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance_support.flows import ROOT

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
