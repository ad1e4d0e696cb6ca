"""Damaged objects: whatever the loader lets through, nothing in the routing code raises."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.errors import UsageError
from netsim.l7 import compile_ingress
from netsim.l7.explain import explain
from netsim.l7.frontend import find
from netsim.l7.lint import lint
from netsim.l7.request import from_query
from netsim.l7.router import RouteOptions, build_routers, decide
from netsim.l7.status import status_items
from netsim.manifests.load import load
from tests.netsim.l7.recorded import FILES, read

VALUES: tuple[Any, ...] = (None, "", "x", "*", "/", 0, -1, 70000, True, [], {}, ["x"], {"x": "y"}, "a" * 300, "é", "\n")
WITH_MANIFESTS = [path for path in FILES if read(path).get("manifests")]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def damaged(objects: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    """Objects of which a few fields are gone or have other values; kind and apiVersion stay."""
    found = copy.deepcopy(objects)
    for _ in range(chance.randint(1, 6)):
        one = chance.choice(found)
        path = chance.choice([place for place in places(one) if place[0] not in ("kind", "apiVersion")] or [("spec",)])
        holder: Any = one
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, dict) and chance.random() < 0.3:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return found


REQUESTS = (
    {"host": "a.test", "path": "/"},
    {"scheme": "https", "host": "x.test", "path": "/a/b", "query": "q"},
    {"scheme": "tls", "port": 443, "sni": "abc.example.com"},
    {"scheme": "tcp", "port": 9310},
    {"host": "m.test", "protocol": "grpc", "path": "/a.B/C", "headers": {"Origin": "https://a"}},
)


@pytest.mark.parametrize("path", WITH_MANIFESTS, ids=lambda path: path.stem)
def test_damaged_objects_are_survived(path: Path) -> None:
    recorded, chance = read(path), random.Random(path.stem)
    for _ in range(12):
        listed = {"apiVersion": "v1", "kind": "List", "items": damaged(recorded["manifests"], chance)}
        loaded = load(["-"], stdin=io.BytesIO(orjson.dumps(listed)))
        cluster = build(loaded.objects, BuildOptions())
        for dialect in ("", *recorded["dialects"]):
            routers = build_routers(cluster, RouteOptions(dialect=dialect))
            status_items(routers)
            for query in (*REQUESTS, *(case["request"] for case in recorded.get("cases", ())[:4] if "request" in case)):
                request = from_query(query)
                answer = decide(routers, request)
                assert answer.decision.as_json()["code"]
                assert explain(answer, request, routers)
            assert [find(cluster, router) for router in routers]
            lint(cluster, RouteOptions(dialect=dialect))
        if "ingress-nginx" in recorded["dialects"]:
            assert compile_ingress(cluster)


def test_no_routes_at_all_is_a_usage_error_or_a_plain_404() -> None:
    loaded = load(["-"], stdin=io.BytesIO(b"apiVersion: v1\nkind: Namespace\nmetadata: {name: empty}\n"))
    routers = build_routers(build(loaded.objects, BuildOptions()))
    assert decide(routers, from_query({"host": "a.test"})).decision.status == 404
    with pytest.raises(UsageError, match="nothing routes"):
        decide((), from_query({"host": "a.test"}))
