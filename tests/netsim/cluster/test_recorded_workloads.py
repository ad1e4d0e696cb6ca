"""Pods of recorded workloads equal those that the real controllers, scheduler and admission made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from netsim.cluster.resources import resources
from tests.netsim.cluster.clusters import API, Loader, of_objects, yaml

CASES = sorted(path.parent for path in (API / "workloads" / "pods").glob("*/expected.json"))
NODES = API / "endpointslices" / "dual-service" / "nodes.yaml"
# The notes of the cases say what was done to node-3; the recordings carry no Node objects.
TAINTS = {
    "taint-noschedule": {"key": "k", "value": "v", "effect": "NoSchedule"},
    "taint-tolerate": {"key": "k", "value": "v", "effect": "NoSchedule"},
    "taint-noexecute": {"key": "k", "value": "v", "effect": "NoExecute"},
    "taint-prefer": {"key": "k", "value": "v", "effect": "PreferNoSchedule"},
    "cordoned": {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
}
COPIED = ("hostname", "subdomain", "restartPolicy", "tolerations", "affinity", "volumes")


def nodes(name: str) -> list[dict[str, Any]]:
    found = list(yaml.load_all(NODES.read_text(), Loader))
    for word, taint in TAINTS.items():
        if word in name:
            found[2]["spec"] |= {"taints": [taint], "unschedulable": word == "cordoned"}
    return found


def comparable(pod: dict[str, Any]) -> dict[str, Any]:
    metadata, spec, status = pod["metadata"], pod["spec"], pod["status"]
    found: dict[str, Any] = {"name": metadata["name"], "labels": metadata.get("labels", {})}
    found |= {key: metadata[key] for key in ("generateName", "finalizers") if key in metadata}
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if not k.startswith("fakelet/")}
    owners = [{k: o[k] for k in ("kind", "name", "controller")} for o in metadata.get("ownerReferences", ())]
    env = [c["env"] for c in spec["containers"] if c.get("env")]
    ready = [c["status"] for c in status["conditions"] if c["type"] == "Ready"]
    optional = {"annotations": annotations, "ownerReferences": owners, "env": env, "ready": "".join(ready)}
    found |= {key: value for key, value in optional.items() if value}
    found |= {key: spec[key] for key in COPIED if key in spec}
    return found | {"phase": status["phase"], "terminating": "deletionTimestamp" in metadata}


def normalised(pod: dict[str, Any]) -> str:
    """Stand-ins and random parts become what the recordings write for them; the zone is the scheduler's choice."""
    kept = {k: v for k, v in pod.items() if k not in ("nameLength", "nodeName", "scheduledNode")}
    text = json.dumps(kept, sort_keys=True)
    for label, written in (
        ("pod-template-hash", "<pod-template-hash>"),
        ("controller-revision-hash", "<rev-hash>"),
        ("controller-uid", "<uid>"),
    ):
        value = pod["labels"].get(label, "")
        if value and "<" not in value:
            text = text.replace(value.rpartition("-")[2] if label == "controller-revision-hash" else value, written)
    text = re.sub(r'("topology.kubernetes.io/zone": )"."', r'\1"z"', text)
    found = json.loads(text)
    prefix = found.get("generateName", "")
    if prefix and "statefulset.kubernetes.io/pod-name" not in found["labels"]:
        found["name"] = prefix[:58] + "<rand5>"
    return json.dumps(found, sort_keys=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pods_are_what_the_controllers_make(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text())["pods"]
    documents = [d for d in yaml.load_all((case / "manifests.yaml").read_text(), Loader) if d]
    options = {"at": "2026-11-22T20:42:30Z", "strict_refs": "pvc" in case.name}
    got = list(resources(of_objects([*documents, *nodes(case.name)], **options), "Pod"))
    assert sorted(normalised(comparable(pod)) for pod in got) == sorted(map(normalised, expected))
    # Where the recorder says the node is not the scheduler's choice, it is ours too.
    fixed = sorted(pod["nodeName"] for pod in expected if "nodeName" in pod)
    assert sorted(pod["spec"].get("nodeName", "") for pod in got) == fixed or not fixed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_generated_names_are_as_long_as_real_ones(case: Path) -> None:
    documents = [d for d in yaml.load_all((case / "manifests.yaml").read_text(), Loader) if d]
    built = of_objects([*documents, *nodes(case.name)], at="2026-11-22T20:42:30Z")
    for pod in built.pods:
        assert len(pod.name) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", pod.name)
