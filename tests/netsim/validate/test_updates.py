"""Updates of stored objects: recorded create-and-patches get the recorded verdict; what is immutable stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import Where
from netsim.manifests.objects import Manifest
from netsim.validate.updates import update_causes, update_problems

CASES = Path(__file__).parents[2] / "conformance" / "api" / "validation" / "updates.json"
RECORDED: list[dict[str, Any]] = json.loads(CASES.read_text())


class Nowhere:
    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        return Where("new.yaml")


def merged(base: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in RECORDED])
def test_an_update_is_judged_as_the_api_server_does(case: dict[str, Any]) -> None:
    if "does not match the name on the URL" in case["message"]:
        pytest.skip("an update of one object cannot rename it: two manifests with two names are two objects")
    old = case["base"]
    new = merged(old, case["merge_patch"])
    problems = update_problems(Manifest(old, Nowhere()), Manifest(new, Nowhere()))
    said = {(problem.field, problem.reason, problem.message) for problem in problems}
    # Pods: the server appends a diff of its internal object.
    assert said == {(c["field"], c["reason"], c["message"].partition("\n")[0]) for c in case["causes"]}


IMMUTABLE_DATA = "Forbidden: field is immutable when `immutable` is set"


@pytest.mark.parametrize(
    ("kind", "old", "new", "want"),
    [
        pytest.param("Service", {"spec": {"clusterIP": "10.96.0.9"}}, {"spec": {}}, [], id="a-silent-cluster-ip-stays"),
        pytest.param(
            "Service",
            {"spec": {"ipFamilies": ["IPv4"]}},
            {"spec": {"ipFamilies": ["IPv6"]}},
            [("spec.ipFamilies[0]", 'Invalid value: ["IPv6"]: may not change once set')],
            id="the-first-family-stays",
        ),
        pytest.param(
            "Service",
            {"spec": {"clusterIP": "10.96.0.9", "type": "ExternalName"}},
            {"spec": {"clusterIP": "10.96.0.10"}},
            [],
            id="an-external-name-may-get-an-address",
        ),
        pytest.param(
            "IngressClass",
            {"spec": {"controller": "a.io/b"}},
            {"spec": {"controller": "a.io/c"}},
            [("spec.controller", 'Invalid value: "a.io/c": field is immutable')],
            id="a-class-keeps-its-controller",
        ),
        pytest.param(
            "StorageClass",
            {"provisioner": "a", "volumeBindingMode": "Immediate"},
            {"provisioner": "b", "volumeBindingMode": "WaitForFirstConsumer"},
            [
                ("provisioner", "Forbidden: updates to provisioner are forbidden."),
                ("volumeBindingMode", 'Invalid value: "WaitForFirstConsumer": field is immutable'),
            ],
            id="a-storage-class-keeps-its-provisioner",
        ),
        pytest.param(
            "PersistentVolumeClaim",
            {"spec": {"storageClassName": "a", "volumeMode": "Filesystem"}},
            {"spec": {"storageClassName": "b"}},
            [
                (
                    "spec",
                    "Forbidden: spec is immutable after creation except resources.requests and "
                    "volumeAttributesClassName for bound claims",
                )
            ],
            id="a-claim-keeps-its-class",
        ),
        pytest.param(
            "PersistentVolumeClaim", {"spec": {}}, {"spec": {"volumeName": "pv"}}, [], id="a-claim-is-bound-once"
        ),
        pytest.param(
            "ConfigMap",
            {"immutable": True, "data": {"a": "1"}},
            {"immutable": True, "data": {"a": "2"}},
            [("data", IMMUTABLE_DATA)],
            id="immutable-data-stays",
        ),
        pytest.param(
            "Secret",
            {"immutable": True, "type": "a/b"},
            {"type": "a/c"},
            [("type", 'Invalid value: "a/c": field is immutable'), ("immutable", IMMUTABLE_DATA)],
            id="a-secret-keeps-its-type",
        ),
        pytest.param(
            "Job",
            {"spec": {"completions": 3, "completionMode": "Indexed", "parallelism": 3}},
            {"spec": {"completions": 5, "completionMode": "Indexed", "parallelism": 5}},
            [],
            id="an-indexed-job-may-grow",
        ),
        pytest.param(
            "Pod",
            {"spec": {"containers": [{"name": "c", "image": "a"}]}},
            {"spec": {"containers": [{"name": "c", "image": "b"}], "tolerations": [{"operator": "Exists"}]}},
            [],
            id="a-pod-may-get-a-new-image",
        ),
        pytest.param("Lease", {"spec": {"a": 1}}, {"spec": {"a": 2}}, [], id="other-kinds-have-no-rules"),
    ],
)
def test_what_may_change(kind: str, old: dict[str, Any], new: dict[str, Any], want: list[tuple[str, str]]) -> None:
    assert [(cause.at.text, cause.message) for cause in update_causes(kind, old, new)] == want


def test_objects_of_two_kinds_are_no_update() -> None:
    old = Manifest({"apiVersion": "v1", "kind": "Service"}, Nowhere())
    assert update_problems(old, Manifest({"apiVersion": "v1", "kind": "Pod"}, Nowhere())) == ()
