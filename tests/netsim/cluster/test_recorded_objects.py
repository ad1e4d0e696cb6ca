"""`netsim get -o json` shows accepted objects exactly as the real API server stored them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.cluster.resources import resources
from netsim.manifests.load import load
from tests.netsim.cluster.clusters import API

CASES = [c for c in json.loads((API / "validation" / "results.json").read_text()) if c["accepted"] and c.get("object")]
# The real server writes the time of day here.
CLOCK = ("lastPhaseTransitionTime",)


def differences(got: Any, want: Any, path: str = "") -> list[str]:
    if isinstance(want, str) and want.startswith("<"):
        return [] if got else [f"{path}: nothing for {want}"]
    if isinstance(got, dict) and isinstance(want, dict):
        keys = sorted({*got, *want} - set(CLOCK))
        return [d for k in keys for d in differences(got.get(k, "(absent)"), want.get(k, "(absent)"), f"{path}.{k}")]
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        return [d for i, (a, b) in enumerate(zip(got, want, strict=True)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if got == want else [f"{path}: got {got!r}, want {want!r}"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_stored_object(case: dict[str, Any]) -> None:
    want = case["object"]
    built = build(load([str(API / "validation" / f"{case['id']}.yaml")]).objects, BuildOptions())
    items = json.loads(json.dumps(list(resources(built, want["kind"]))))
    name = want["metadata"]["name"]
    found = [item for item in items if name.startswith("<") or item["metadata"]["name"] == name]
    assert len(found) == 1
    wrong = differences(found[0], want)
    if want["kind"] == "Pod":
        # The recording is of the moment of creation; ours is scheduled and runs.
        wrong = [line for line in wrong if not re.match(r"\.(status|spec\.nodeName)", line)]
    assert wrong == []
