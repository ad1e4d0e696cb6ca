"""Write netsim/manifests/kinds.json: the fields of every kind that Kubernetes v1.36 serves, with their types.

Source: the OpenAPI schemas of Kubernetes v1.36 as PyPI's `kubernetes-validate` ships them. Run after upgrading it:
`python tools/generate_kinds.py`. Notation of a type, one string:

    s string · b boolean · i int32 · l int64 · f float64 · x IntOrString · q Quantity · t Time · T MicroTime
    y base64 bytes · o any object · * anything · [T list of T · {T map of T · @NAME struct · s:GO named Go string
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

SCHEMAS = "kubernetes-json-schema/v1.36.0-local-strict/_definitions.json"
TARGET = Path(__file__).parent.parent / "netsim" / "manifests" / "kinds.json"

SPECIAL = {
    "pkg.util.intstr.IntOrString": "x",
    "pkg.api.resource.Quantity": "q",
    "pkg.apis.meta.v1.Time": "t",
    "pkg.apis.meta.v1.MicroTime": "T",
    "pkg.apis.meta.v1.FieldsV1": "o",
    "pkg.runtime.RawExtension": "o",
}
OPEN = ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray", "Patch")

# Go names of string types, which appear in decoding errors and which the schemas do not carry (staging/src/k8s.io/api).
NAMED_STRINGS = {
    "core.v1.ServiceSpec": {
        "type": "v1.ServiceType",
        "sessionAffinity": "v1.ServiceAffinity",
        "externalTrafficPolicy": "v1.ServiceExternalTrafficPolicy",
        "internalTrafficPolicy": "v1.ServiceInternalTrafficPolicy",
        "ipFamilyPolicy": "v1.IPFamilyPolicy",
        "ipFamilies": "v1.IPFamily",
    },
    "core.v1.ServicePort": {"protocol": "v1.Protocol"},
    "core.v1.LoadBalancerIngress": {"ipMode": "v1.LoadBalancerIPMode"},
    "core.v1.EndpointPort": {"protocol": "v1.Protocol"},
    "core.v1.ContainerPort": {"protocol": "v1.Protocol"},
    "core.v1.PodSpec": {"restartPolicy": "v1.RestartPolicy", "dnsPolicy": "v1.DNSPolicy"},
    "core.v1.PodStatus": {"phase": "v1.PodPhase", "qosClass": "v1.PodQOSClass"},
    "core.v1.Container": {
        "imagePullPolicy": "v1.PullPolicy",
        "restartPolicy": "v1.ContainerRestartPolicy",
        "terminationMessagePolicy": "v1.TerminationMessagePolicy",
    },
    "core.v1.HTTPGetAction": {"scheme": "v1.URIScheme"},
    "core.v1.Toleration": {"operator": "v1.TolerationOperator", "effect": "v1.TaintEffect"},
    "core.v1.Taint": {"effect": "v1.TaintEffect"},
    "core.v1.NodeSelectorRequirement": {"operator": "v1.NodeSelectorOperator"},
    "core.v1.VolumeMount": {"mountPropagation": "v1.MountPropagationMode"},
    "core.v1.Secret": {"type": "v1.SecretType"},
    "core.v1.NamespaceStatus": {"phase": "v1.NamespacePhase"},
    "core.v1.PersistentVolumeSpec": {
        "accessModes": "v1.PersistentVolumeAccessMode",
        "persistentVolumeReclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
        "volumeMode": "v1.PersistentVolumeMode",
    },
    "core.v1.PersistentVolumeClaimSpec": {
        "accessModes": "v1.PersistentVolumeAccessMode",
        "volumeMode": "v1.PersistentVolumeMode",
    },
    "meta.v1.LabelSelectorRequirement": {"operator": "v1.LabelSelectorOperator"},
    "discovery.v1.EndpointSlice": {"addressType": "v1.AddressType"},
    "discovery.v1.EndpointPort": {"protocol": "v1.Protocol"},
    "networking.v1.HTTPIngressPath": {"pathType": "v1.PathType"},
    "networking.v1.NetworkPolicySpec": {"policyTypes": "v1.PolicyType"},
    "networking.v1.NetworkPolicyPort": {"protocol": "v1.Protocol"},
    "apps.v1.DeploymentStrategy": {"type": "v1.DeploymentStrategyType"},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "v1.DaemonSetUpdateStrategyType"},
    "apps.v1.StatefulSetUpdateStrategy": {"type": "v1.StatefulSetUpdateStrategyType"},
    "apps.v1.StatefulSetSpec": {"podManagementPolicy": "v1.PodManagementPolicyType"},
    "batch.v1.JobSpec": {
        "completionMode": "v1.CompletionMode",
        "podReplacementPolicy": "v1.PodReplacementPolicy",
    },
    "batch.v1.CronJobSpec": {"concurrencyPolicy": "v1.ConcurrencyPolicy"},
    "storage.v1.StorageClass": {
        "reclaimPolicy": "v1.PersistentVolumeReclaimPolicy",
        "volumeBindingMode": "v1.VolumeBindingMode",
    },
}


def short(name: str) -> str:
    """Return `core.v1.ServiceSpec` for `io.k8s.api.core.v1.ServiceSpec`."""
    return ".".join(name.split(".")[-3:])


def special(name: str) -> str:
    """Return the notation of a definition with its own JSON form, "" for a plain struct."""
    for suffix, code in SPECIAL.items():
        if name.endswith(suffix):
            return code
    return "*" if name.rpartition(".")[2] in OPEN else ""


def notation(schema: dict[str, Any]) -> str:
    """Return a property's type in the notation above."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return special(name) or "@" + short(name)
    types = schema.get("type", [])
    kind = next((t for t in ([types] if isinstance(types, str) else types) if t != "null"), "")
    match kind:
        case "string":
            return "y" if schema.get("format") == "byte" else "s"
        case "boolean":
            return "b"
        case "integer":
            return "i" if schema.get("format") == "int32" else "l"
        case "number":
            return "f"
        case "array":
            return "[" + notation(schema["items"])
        case "object":
            inner = schema.get("additionalProperties")
            return "{" + notation(inner) if isinstance(inner, dict) else "o"
        case _:
            return "*"


def fields(name: str, schema: dict[str, Any]) -> dict[str, str]:
    """Return field -> notation of one struct."""
    named = NAMED_STRINGS.get(short(name), {})
    result = {}
    for field, inner in sorted(schema.get("properties", {}).items()):
        code = notation(inner)
        if field in named:
            code = code[:-1] + "s:" + named[field]
        result[field] = code
    return result


def kinds(definitions: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (`apiVersion/Kind`, definition) of every kind in a stable version: what a stock v1.36 serves."""
    for name, schema in definitions.items():
        served = schema.get("x-kubernetes-group-version-kind", [])
        if len(served) == 1 and ".meta.v1." not in name:
            group, version, kind = served[0]["group"], served[0]["version"], served[0]["kind"]
            if "alpha" not in version and "beta" not in version:
                yield "/".join(filter(None, (group, version, kind))), name


def reachable(start: list[str], structs: dict[str, dict[str, str]]) -> set[str]:
    """Return every struct that the given ones contain, themselves included."""
    seen: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [code.partition("@")[2] for code in structs[name].values() if "@" in code]
    return seen


def main() -> int:
    """Write the table."""
    definitions = json.loads(files("kubernetes_validate").joinpath(SCHEMAS).read_text())["$defs"]
    structs = {short(name): fields(name, schema) for name, schema in definitions.items() if not special(name)}
    assert len(structs) == sum(not special(name) for name in definitions), "two definitions share a short name"
    served = {gvk: short(name) for gvk, name in kinds(definitions)}
    needed = reachable(list(served.values()), structs)
    table = {"kinds": served, "structs": {name: structs[name] for name in sorted(needed)}}
    TARGET.write_text(json.dumps(table, indent=0, sort_keys=True, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
