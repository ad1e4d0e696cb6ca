"""The field table: made from the published schemas, in step with them, and the words for what breaks it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from netsim.manifests import kinds, schema
from netsim.manifests.suggestions import did_you_mean, distance, nearest

ROOT = Path(__file__).parents[3]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "target"), [("generate_kinds", "kinds.json"), ("generate_gateway_kinds", "gateway.json")]
)
def test_the_committed_table_is_what_its_generator_writes(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = tool(name)
    monkeypatch.setattr(generator, "TARGET", tmp_path / target)
    generator.main()
    committed = ROOT / "netsim" / "manifests" / target
    assert json.loads((tmp_path / target).read_text()) == json.loads(committed.read_text())


def test_every_struct_that_a_field_names_exists() -> None:
    structs = kinds.table().structs
    named = {code.partition("@")[2] for fields in structs.values() for code in fields.values() if "@" in code}
    assert named <= set(structs)


@pytest.mark.parametrize(
    ("api_version", "kind", "want"),
    [
        ("v1", "Service", "served"),
        ("networking.k8s.io/v1", "Ingress", "served"),
        ("networking.k8s.io/v1beta1", "Ingress", "unknown"),
        ("extensions/v1beta1", "Ingress", "unknown"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", "crd"),
        ("gateway.networking.k8s.io/v1beta1", "Gateway", "crd"),
        ("gateway.networking.k8s.io/v1", "HTTProute", "unknown"),
        ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration", "config"),
        ("example.com/v1", "Thing", "custom"),
        ("things/v1", "Thing", "unknown"),
    ],
)
def test_who_serves_a_kind(api_version: str, kind: str, want: str) -> None:
    assert kinds.served(api_version, kind) == want


@pytest.mark.parametrize(
    ("api_version", "kind", "want"),
    [
        ("v1", "Depolyment", 'did you mean "Deployment" in apiVersion apps/v1?'),
        ("v1", "Sevice", 'did you mean "Service"?'),
        ("apps/v1", "Service", "Service is in apiVersion v1"),
        ("v1", "HTTPRoute", "HTTPRoute is in apiVersion gateway.networking.k8s.io/v1"),
        ("v1", "Zzzzzzzz", ""),
    ],
)
def test_the_hint_of_an_unknown_kind(api_version: str, kind: str, want: str) -> None:
    assert kinds.kind_hint(api_version, kind) == want


@pytest.mark.parametrize(
    ("word", "known", "want"),
    [
        ("prots", ["ports", "type"], "ports"),
        ("targetport", ["targetPort", "targetPorts"], "targetPort"),
        ("container", ["containers", "initContainers"], "containers"),
        ("stragegy", ["strategy", "template"], "strategy"),
        ("x", ["y"], "y"),
        ("abc", ["xyz"], ""),
        ("anything", [], ""),
    ],
)
def test_the_nearest_name(word: str, known: list[str], want: str) -> None:
    assert nearest(word, known) == want
    assert did_you_mean(word, known) == (f'did you mean "{want}"?' if want else "")


@pytest.mark.parametrize(
    ("left", "right", "want"), [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("prots", "ports", 1), ("abc", "axc", 1)]
)
def test_distance_counts_a_swap_once(left: str, right: str, want: int) -> None:
    assert distance(left, right) == distance(right, left) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        pytest.param({"spec": None}, [], id="null-anywhere"),
        pytest.param({"spec": {"ports": [None]}}, [], id="null-item"),
        pytest.param({"spec": {"ports": [{"port": 80.0}]}}, [], id="integral-float"),
        pytest.param({"spec": {"ports": [{"targetPort": "http"}, {"targetPort": 5}]}}, [], id="int-or-string"),
        pytest.param({"metadata": {"managedFields": [{"fieldsV1": {"f:x": {}}}]}}, [], id="managed-fields"),
        pytest.param(
            {"spec": {"ports": [{"targetPort": []}]}},
            ["array into Go struct field ServicePort.spec.ports.targetPort of type int32"],
            id="int-or-string-list",
        ),
        pytest.param(
            {"spec": {"type": 5}},
            ["number into Go struct field ServiceSpec.spec.type of type v1.ServiceType"],
            id="named-string",
        ),
        pytest.param(
            {"spec": {"ipFamilies": [5]}},
            ["number into Go struct field ServiceSpec.spec.ipFamilies of type v1.IPFamily"],
            id="list-of-named-strings",
        ),
        pytest.param(
            {"status": {"loadBalancer": []}},
            ["array into Go struct field ServiceStatus.status.loadBalancer of type v1.LoadBalancerStatus"],
            id="struct",
        ),
    ],
)
def test_wrong_types_in_the_decoders_words(value: dict[str, Any], want: list[str]) -> None:
    found = [finding.message for finding in schema.findings("core.v1.Service", value)]
    assert found == [f"json: cannot unmarshal {text}" for text in want]
