"""Recorded checks of conformance/l7: which class admission stores, and what controllers write into status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from netsim.l7.classes import admit
from netsim.l7.ingress import read_class, read_ingress
from netsim.l7.router import build_routers
from netsim.l7.status import find_status, status_items
from netsim.validate.check import check_objects
from tests.netsim.l7.recorded import FILES, cluster_of, loaded_of, options_of, read


def checks(feature: str) -> Iterator[Any]:
    for path in FILES:
        recorded = read(path)
        for check in recorded.get("checks") or ():
            if check["feature"] == feature or (
                feature == "status" and "object" in check and "apiVersion" not in check["object"]
            ):
                yield pytest.param(recorded, check, id=check["id"])


@pytest.mark.parametrize(("recorded", "check"), list(checks("ingress_class_admission")))
def test_admission_stores_the_class(recorded: dict[str, Any], check: dict[str, Any]) -> None:
    created = loaded_of([check["create"]])
    if "error" in check["expect"]:
        assert any(check["expect"]["error"]["detail"] in problem.message for problem in check_objects(created))
    else:
        classes = [read_class(manifest) for manifest in loaded_of(check["classes"])]
        assert admit(read_ingress(created[0]), classes) == check["expect"]["ingressClassName"]


def condition_of(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(one for one in found if one["type"] == kind)


def subject(status: dict[str, Any], check: dict[str, Any]) -> dict[str, Any]:
    """The part of a status that the check speaks of: a listener, a parent, an ancestor, or all of it."""
    if "listener" in check:
        return next(one for one in status["listeners"] if one["name"] == check["listener"])
    if "ancestors" in status:
        found = status["ancestors"][0]
        assert isinstance(found, dict)
        return found
    if "parentRef" in check:
        return next(one for one in status["parents"] if one["parentRef"]["name"] == check["parentRef"]["name"])
    return status


@pytest.mark.parametrize(("recorded", "check"), list(checks("status")))
def test_a_controller_writes_the_status(recorded: dict[str, Any], check: dict[str, Any]) -> None:
    expect, wanted = check["expect"], check["object"]
    for dialect in recorded["dialects"]:
        items = status_items(build_routers(cluster_of(recorded["manifests"]), options_of(recorded, dialect)))
        status = find_status(
            orjson.loads(orjson.dumps(items)), wanted["kind"], wanted.get("namespace", ""), wanted["name"]
        )
        assert status is not None
        if "statusLoadBalancer" in expect:
            assert status["loadBalancer"]["ingress"] == expect["statusLoadBalancer"]
            continue
        if "parents" in expect:
            assert status["parents"] == expect["parents"]
            continue
        found = subject(dict(status), check)
        if "condition" in expect:
            got = condition_of(found["conditions"], expect["condition"]["type"])
            assert {**got, **expect["condition"]} == got
        if "attachedRoutes" in expect:
            assert found["attachedRoutes"] == expect["attachedRoutes"]
        if "supportedKinds" in expect:
            assert [kind["kind"] for kind in found["supportedKinds"]] == expect["supportedKinds"]
