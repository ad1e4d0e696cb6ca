"""Every recorded request of conformance/l7, in every dialect that its expectations pin."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from netsim.l7.nginx.decide import Counters
from netsim.l7.request import from_query
from netsim.l7.router import Router, build_routers, decide
from tests.netsim.l7.expectations import differences
from tests.netsim.l7.recorded import FILES, cluster_of, options_of, read


@lru_cache(maxsize=4)
def routers_of(path: Path, dialect: str) -> tuple[Router, ...]:
    recorded = read(path)
    return build_routers(cluster_of(recorded["manifests"]), options_of(recorded, dialect))


def cases() -> Iterator[Any]:
    for path in FILES:
        recorded = read(path)
        for dialect in recorded["dialects"]:
            for case in recorded.get("cases") or ():
                if dialect in case.get("dialects", recorded["dialects"]):
                    yield pytest.param(path, dialect, case, id=f"{case['id']}-{dialect}")


def steps(case: dict[str, Any], dialect: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], int]]:
    if "sequence" in case:
        for step in case["sequence"]:
            yield step["request"], step["expect"], step.get("repeat", 1)
    else:
        yield case["request"], (case.get("overrides") or {}).get(dialect, case["expect"]), 1


@pytest.mark.parametrize(("path", "dialect", "case"), list(cases()))
def test_a_recorded_request(path: Path, dialect: str, case: dict[str, Any]) -> None:
    routers, counters = routers_of(path, dialect), Counters()
    cookies: dict[str, str] = {}
    for request, expect, repeat in steps(case, dialect):
        seen = set()
        for _ in range(repeat):
            sent = {**request, "cookies": {**request.get("cookies", {}), **cookies}}
            answer = decide(routers, from_query(sent), counters).decision.as_json()
            wanted = {key: value for key, value in expect.items() if key != "sameEndpointAsPrevious"}
            assert list(differences(wanted, answer)) == []
            seen.add(tuple(endpoint for share in answer["backends"] for endpoint in share["endpoints"]))
            if answer.get("setCookie"):
                cookies[answer["setCookie"]] = "0123456789abcdef|fedcba9876543210"
        if expect.get("sameEndpointAsPrevious"):
            assert [len(endpoints) for endpoints in seen] == [1]
