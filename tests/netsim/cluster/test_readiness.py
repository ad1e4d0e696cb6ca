"""Readiness of pods that no kubelet reported on: references, probes, claims, phases, what-ifs."""

from __future__ import annotations

import pytest

from netsim.cluster.model import Pod
from netsim.errors import UsageError
from tests.netsim.cluster.clusters import THREE_NODES, cluster, pod, service


def one(extra: str, *others: str, **options: object) -> Pod:
    return next(p for p in cluster(pod("p", extra=extra), THREE_NODES, *others, **options).pods if p.name == "p")


VOLUME = "volumes: [{name: v, %s}]"
ENVIRONMENT = "initContainers: [{name: i, image: x, env: [{name: A, valueFrom: {%s}}]}]"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {}"


@pytest.mark.parametrize(
    ("extra", "phase", "has_address", "why"),
    [
        pytest.param(VOLUME % "configMap: {name: c}", "Pending", False, 'configmap "c" not found', id="volume"),
        pytest.param(VOLUME % "secret: {secretName: s}", "Pending", False, 'secret "s" not found', id="secret volume"),
        pytest.param(
            VOLUME % "projected: {sources: [{configMap: {name: c}}]}", "Pending", False, 'configmap "c"', id="projected"
        ),
        pytest.param(
            ENVIRONMENT % "configMapKeyRef: {name: c, key: k}",
            "Pending",
            True,
            "CreateContainerConfigError",
            id="an environment keeps only its container from starting",
        ),
        pytest.param(VOLUME % "configMap: {name: c, optional: true}", "Running", True, "", id="optional"),
        pytest.param(
            "readinessGates: [{conditionType: x.io/ok}]", "Running", True, "readiness gate x.io/ok", id="gate"
        ),
    ],
)
def test_absent_references_with_strict_refs(extra: str, phase: str, has_address: bool, why: str) -> None:
    found = one(extra, strict_refs=True)
    assert (found.phase, bool(found.ips)) == (phase, has_address)
    assert why in found.why_not_ready
    assert found.ready is (why == "")


def test_absent_references_are_assumed_to_exist_with_one_note() -> None:
    built = cluster(pod("p", extra=VOLUME % "configMap: {name: c}"), THREE_NODES)
    assert built.pods[0].ready
    notes = [str(note) for note in built.notes if note.code == "ASSUMED_REFERENCE"]
    assert len(notes) == 1
    assert "ConfigMap default/c" in notes[0]


def test_a_reference_that_is_there_is_no_assumption() -> None:
    built = cluster(pod("p", extra=VOLUME % "configMap: {name: c}"), THREE_NODES, CONFIG, strict_refs=True)
    assert built.pods[0].ready


PROBED = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: x, "
    "ports: [{{name: http, containerPort: 80}}], {kind}: {{{handler}}}}}]}}"
)


@pytest.mark.parametrize(
    ("kind", "handler", "ready", "code"),
    [
        pytest.param("readinessProbe", "httpGet: {path: /, port: http}", True, "ASSUMED_PROBE", id="a declared port"),
        pytest.param("readinessProbe", "httpGet: {path: /, port: web}", False, "", id="a name nobody declares"),
        pytest.param("startupProbe", "tcpSocket: {port: web}", False, "", id="a startup probe too"),
        pytest.param("livenessProbe", "tcpSocket: {port: web}", True, "", id="liveness does not decide readiness"),
        pytest.param(
            "readinessProbe", "tcpSocket: {port: 81}", True, "PROBE_PORT_NOT_DECLARED", id="undeclared number"
        ),
        pytest.param("readinessProbe", "exec: {command: [ls]}", True, "ASSUMED_PROBE", id="exec"),
    ],
)
def test_probes(kind: str, handler: str, ready: bool, code: str) -> None:
    built = cluster(PROBED.format(kind=kind, handler=handler), THREE_NODES)
    assert built.pods[0].ready is ready
    codes = {note.code for note in built.notes}
    assert code in codes if code else not codes & {"ASSUMED_PROBE", "PROBE_PORT_NOT_DECLARED"}


CLAIM = (
    "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data}}\nspec: {{accessModes: [{mode}], "
    "resources: {{requests: {{storage: {size}}}}}{more}}}"
)
PV = (
    "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}, labels: {{disk: ssd}}}}\nspec: {{capacity: "
    "{{storage: {size}}}, accessModes: [ReadWriteOnce], storageClassName: {sc}, hostPath: {{path: /d}}{more}}}"
)
CLASS = (
    "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}, annotations: "
    '{{storageclass.kubernetes.io/is-default-class: "{default}"}}}}\nprovisioner: {provisioner}'
)
MOUNT = "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]"


def claim(mode: str = "ReadWriteOnce", size: str = "1Gi", more: str = "") -> str:
    return CLAIM.format(mode=mode, size=size, more=more)


def volume(name: str = "pv", size: str = "2Gi", sc: str = "manual", more: str = "") -> str:
    return PV.format(name=name, size=size, sc=sc, more=more)


def storage_class(name: str, default: str = "false", provisioner: str = "x.io/y") -> str:
    return CLASS.format(name=name, default=default, provisioner=provisioner)


MANUAL = ", storageClassName: manual"


@pytest.mark.parametrize(
    ("objects", "strict", "why"),
    [
        pytest.param([claim(more=MANUAL), volume()], False, "", id="a volume that fits"),
        pytest.param([claim(more=MANUAL), volume(size="500Mi")], False, "pv is too small", id="too small"),
        pytest.param([claim("ReadWriteMany", more=MANUAL), volume()], False, "lacks access mode", id="access mode"),
        pytest.param(
            [claim(more=MANUAL + ", volumeMode: Block"), volume()], False, "another volumeMode", id="volume mode"
        ),
        pytest.param(
            [claim(more=MANUAL + ", selector: {matchLabels: {disk: hdd}}"), volume()],
            False,
            "does not match the claim's selector",
            id="selector",
        ),
        pytest.param(
            [claim(more=MANUAL + ", volumeName: other"), volume()], False, "is not the volume other", id="named volume"
        ),
        pytest.param([claim(), storage_class("fast", "true")], False, "", id="the default class makes one"),
        pytest.param([claim(), storage_class("fast")], False, "no storage class is set", id="no class is the default"),
        pytest.param(
            [claim(), storage_class("local", "true", "kubernetes.io/no-provisioner")],
            False,
            "no persistent volume fits",
            id="a class that makes none",
        ),
        pytest.param([claim(more=', storageClassName: ""'), volume()], False, "has class", id="static only"),
        pytest.param([claim(more=", storageClassName: gone")], False, "", id="an absent class is assumed"),
        pytest.param(
            [claim(more=", storageClassName: gone")],
            True,
            'storageclass.storage.k8s.io "gone" not found',
            id="strict class",
        ),
        pytest.param([claim()], True, "no storage class is set", id="strict without default"),
        pytest.param([], True, 'persistentvolumeclaim "data" not found', id="strict without claim"),
        pytest.param([], False, "", id="an absent claim is assumed"),
    ],
)
def test_claims(objects: list[str], strict: bool, why: str) -> None:
    found = next(p for p in cluster(pod("p", node="", extra=MOUNT), THREE_NODES, *objects, strict_refs=strict).pods)
    assert bool(found.node_name) is (why == "")
    assert why in found.why_not_ready
    if why:
        assert found.why_not_ready.startswith("0/3 nodes are available: ")


def test_a_bound_volume_ties_its_pod_to_a_node() -> None:
    terms = "[{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-3]}]}]"
    local = volume(more=f", nodeAffinity: {{required: {{nodeSelectorTerms: {terms}}}}}")
    found = cluster(pod("p", node="", extra=MOUNT), THREE_NODES, claim(more=MANUAL), local).pods[0]
    assert found.node_name == "node-3"


def test_the_smallest_volume_that_fits_is_taken_once() -> None:
    second = claim(more=MANUAL).replace("name: data", "name: other")
    built = cluster(claim(more=MANUAL), second, volume("big", "9Gi"), volume("small"), pod("p", node="", extra=MOUNT))
    assert built.pods[0].node_name


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param({"not_ready": {"default/p"}}, (False, False, "Running"), id="--not-ready"),
        pytest.param({"terminating": {"default/p"}}, (True, True, "Running"), id="--terminating"),
        pytest.param({"phases": {"default/p": "Failed"}}, (False, False, "Failed"), id="--phase Failed"),
        pytest.param({"phases": {"default/p": "Unknown"}}, (True, False, "Unknown"), id="--phase Unknown stays ready"),
        pytest.param(
            {"phases": {"default/p": "Pending"}, "ready": {"default/p"}}, (True, False, "Running"), id="--ready runs it"
        ),
    ],
)
def test_what_ifs(options: dict[str, object], want: tuple[bool, bool, str]) -> None:
    found = one("", **options)
    assert (found.ready, found.terminating, found.phase) == want


def test_a_what_if_about_nobody_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="pod/default/q: no such pod"):
        one("", not_ready={"default/q"})


STORED = (
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: s, labels: {kubernetes.io/service-name: web, "
    "endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}}\naddressType: IPv4\n"
    "ports: [{name: http, port: 8080}]\nendpoints:\n"
    "- {addresses: [10.0.0.1], conditions: {ready: true, serving: true, terminating: false}, "
    "targetRef: {kind: Pod, namespace: default, name: p}}\n"
    "- {addresses: [10.0.0.2], conditions: {ready: true}, targetRef: {kind: Pod, namespace: default, name: q}}"
)


@pytest.mark.parametrize(
    ("options", "want"),
    [
        pytest.param({"not_ready": {"default/p"}}, (("10.0.0.1",), False, False, False), id="not ready"),
        pytest.param({"terminating": {"default/p"}}, (("10.0.0.1",), False, True, True), id="terminating"),
        pytest.param({"phases": {"default/p": "Failed"}}, ((), True, True, False), id="an ended pod is gone"),
    ],
)
def test_what_ifs_change_slices_of_a_dump(options: dict[str, object], want: tuple[object, ...]) -> None:
    built = cluster(service(), STORED, THREE_NODES, pod("p"), **options)
    first, second = built.slices[0].endpoints
    assert first[:4] == want
    assert second.ready is True


def test_a_publishing_service_keeps_its_endpoints_ready() -> None:
    spec = "publishNotReadyAddresses: true\nselector: {app: web}\nports: [{name: http, port: 80}]"
    built = cluster(service("web", spec), STORED, THREE_NODES, pod("p"), not_ready={"default/p"})
    assert built.slices[0].endpoints[0].ready is True
