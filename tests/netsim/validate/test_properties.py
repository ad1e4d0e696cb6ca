"""Laws of validation: stored objects are valid, plain ones are, no input gives a traceback, order is the input's."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from netsim.manifests.load import load
from netsim.manifests.objects import Manifest
from netsim.validate.judge import Verdict, judge
from netsim.validate.plain import plain_tests
from netsim.validate.registry import check_of

TESTS = Path(__file__).parents[2]
CASES = TESTS / "conformance" / "api" / "validation"
RECORDED: list[dict[str, Any]] = json.loads((CASES / "results.json").read_text())


def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).parent / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(*objects: dict[str, Any], cidrs: tuple[str, ...] = ("10.96.0.0/16", "fd00:10:96::/112")) -> Verdict:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    return judge(load(["-"], stdin=io.StringIO(text), keep_bad=True), cidrs=cidrs)


def as_stored(value: Any) -> Any:
    """Return a recorded stored object with real values for what the recording replaced, and a uid."""
    placeholders = {
        "<allocated-v4>": "10.96.7.7",
        "<allocated-v6>": "fd00:10:96::77",
        "<allocated>": 31777,
        "<generated>": "web-abcde",
    }
    if isinstance(value, dict):
        return {key: as_stored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_stored(inner) for inner in value]
    return placeholders.get(value, value) if isinstance(value, str) else value


STORED = [(case["id"], case["object"]) for case in RECORDED if case.get("object")]


@pytest.mark.parametrize(("name", "recorded"), STORED, ids=[name for name, _ in STORED])
def test_validating_a_stored_object_finds_nothing(name: str, recorded: dict[str, Any]) -> None:
    data = as_stored(recorded)
    data["metadata"]["uid"] = "0b5ee4a1-3c5c-4f9d-9a7a-4a2c1f0e0001"
    if data["kind"] == "Job":
        pytest.skip("a stored Job carries the selector that only the server may set")
    assert judged(data).errors == ()


def test_the_verdict_follows_the_order_of_the_input() -> None:
    def service(name: str, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"port": 80}], **spec},
        }

    one, two = service("one", clusterIP="10.96.0.9"), service("two", clusterIP="10.96.0.9")
    assert [problem.name for problem in judged(one, two).errors] == ["two"]
    assert [problem.name for problem in judged(two, one).errors] == ["one"]
    # What a refused Service asked for is free for the next.
    refused = service("bad name", clusterIP="10.96.0.9")
    assert [problem.name for problem in judged(refused, one).errors] == ["bad name"]


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_gives_a_traceback(seed: int) -> None:
    fuzzer().run(150, seed)


def test_mutations_are_mostly_found() -> None:
    fuzz, rng, found = fuzzer(), random.Random(5), 0
    data = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    for _ in range(100):
        text = fuzz.mutate_object(data, rng)
        found += bool(judge(load(["-"], stdin=io.BytesIO(text), keep_bad=True)).errors)
    assert found > 50


def plain_objects() -> list[Manifest]:
    """Return every Service and EndpointSlice of the recorded inputs."""
    folders = [str(path) for path in sorted((TESTS / "conformance" / "kube-proxy").glob("*/manifests"))]
    slices = [str(path) for path in sorted((TESTS / "conformance" / "dns").glob("*/manifests"))]
    objects = load([*folders, *slices, str(CASES)], keep_bad=True).objects
    wanted = (("v1", "Service"), ("discovery.k8s.io/v1", "EndpointSlice"))
    return [manifest for manifest in objects if (manifest.api_version, manifest.kind) in wanted]


def test_what_is_plainly_valid_is_valid() -> None:
    """The shortcut in Rust may miss a valid object; it must never pass one that the checks would say something of."""
    fuzz, rng = fuzzer(), random.Random(11)
    originals = plain_objects()
    tests = plain_tests(originals)
    for number, manifest in enumerate([*originals, *originals, *originals]):
        data = json.loads(fuzz.mutate_object(manifest.data, rng)) if number % 2 else copy.deepcopy(manifest.data)
        key = (manifest.api_version, manifest.kind)
        if tests[key](data):
            assert [cause.message for cause in check_of(*key)(data)] == [], data
    assert sum(tests[manifest.api_version, manifest.kind](manifest.data) for manifest in originals) > 300


def test_a_large_input_gets_the_verdict_of_a_small_one() -> None:
    """Fifty Services take the shortcut, one does not: each mistake is found all the same."""

    def service(index: int, **spec: Any) -> dict[str, Any]:
        ports = [{"port": 80, "targetPort": 8080}]
        spec = {"clusterIP": f"10.96.1.{index}", "ports": ports, "type": "ClusterIP", **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{index}"}, "spec": spec}

    many = [service(index) for index in range(1, 51)]
    bad = [
        service(51, clusterIP="10.96.1.7"),
        service(52, type="NodePort", ports=[{"port": 80, "nodePort": 31000}]),
        service(53, type="NodePort", ports=[{"port": 80, "nodePort": 31000}]),
        service(54, ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]),
        service(55, clusterIP="10.97.0.1"),
        service(56, ports=[{"port": 80, "nodePort": 31001}]),
        service(57, clusterIPs=["10.96.1.58"]),
        service(1, clusterIP="10.96.1.59"),
    ]
    errors = judged(*many, *bad).errors
    assert [(problem.name, problem.field) for problem in errors] == [
        ("s51", "spec.clusterIPs"),
        ("s53", "spec.ports[0].nodePort"),
        ("s54", "spec.ports[1].name"),
        ("s55", "spec.clusterIPs"),
        ("s56", "spec.ports[0].nodePort"),
        ("s57", "spec.clusterIPs"),
        ("s1", ""),
    ]
