"""EndpointSlices of recorded inputs equal those that the real controllers made."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.resources import resources
from tests.netsim.cluster.clusters import API, Loader, of_objects, yaml

CASES = sorted(path.parent for path in (API / "endpointslices").glob("*/expected.json"))


def objects(case: Path) -> list[dict[str, Any]]:
    files = [case / "manifests.yaml", case / "nodes.yaml"]
    return [d for file in files if file.exists() for d in yaml.load_all(file.read_text(), Loader) if d]


def comparable(item: dict[str, Any]) -> dict[str, Any]:
    metadata = item["metadata"]
    owners = [{k: v for k, v in o.items() if k != "uid"} for o in metadata.get("ownerReferences", ())]
    return {
        "addressType": item["addressType"],
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "owners": owners,
        "namespace": metadata["namespace"],
        "endpoints": item["endpoints"] or [],
        "ports": item["ports"] or [],
    }


def key(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_slices_are_what_the_controller_makes(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text())
    got = [comparable(item) for item in resources(of_objects(objects(case)), "EndpointSlice")]
    want = [comparable(item) for item in expected["endpointslices"]]
    match expected["compare"].split(" ")[0]:
        case "exact":
            assert sorted(got, key=key) == sorted(want, key=key)
        case "slice":
            assert sorted(len(i["endpoints"]) for i in got) == sorted(len(i["endpoints"]) for i in want)
            assert sorted(key(e) for i in got for e in i["endpoints"]) == sorted(
                key(e) for i in want for e in i["endpoints"]
            )
        case "hint":
            assert hints(got) == hints(want)
        case other:
            pytest.fail(f"unknown way to compare: {other}")


def hints(items: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((e["zone"], key(e.get("hints"))) for item in items for e in item["endpoints"])


def legacy(item: dict[str, Any]) -> dict[str, Any]:
    """What compares of an Endpoints object: uids are random, the order of subsets and equal addresses is a hash's."""

    def address(entry: dict[str, Any]) -> dict[str, Any]:
        target = {k: v for k, v in entry.get("targetRef", {}).items() if k != "uid"}
        return {**entry, "targetRef": target}

    def subset(entry: dict[str, Any]) -> dict[str, Any]:
        listed = {k: sorted(map(address, entry.get(k, ())), key=key) for k in ("addresses", "notReadyAddresses")}
        return {**listed, "ports": sorted(entry.get("ports", ()), key=key)}

    metadata = item["metadata"]
    subsets = sorted(map(subset, item.get("subsets") or ()), key=key)
    return {"name": metadata["name"], "labels": metadata.get("labels", {}), "subsets": subsets}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_endpoints_are_what_the_controller_makes(case: Path) -> None:
    want = json.loads((case / "endpoints.json").read_text())
    got = list(resources(of_objects(objects(case)), "Endpoints"))
    assert sorted(map(key, map(legacy, got))) == sorted(map(key, map(legacy, want)))
