"""What may not change once an object is stored: the API server's rules for an update, in its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from netsim.errors import Problem
from netsim.manifests.objects import Manifest
from netsim.validate.cause import ROOT, SPEC, At, Causes, forbidden, invalid
from netsim.validate.fields import Object, flag, has, number, obj, text, texts
from netsim.validate.judge import as_problems
from netsim.validate.labels import as_go
from netsim.validate.registry import check_of
from netsim.validate.service import cluster_ips, is_headless, needs_health_check, service_type

Update = Callable[[Object, Object], Causes]

IMMUTABLE = "field is immutable"
_SET = "may not change once set"
_STATEFUL = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_POD = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CLAIM = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
_DEFAULTS = {"podManagementPolicy": "OrderedReady", "volumeMode": "Filesystem", "completionMode": "NonIndexed"}


def update_problems(old: Manifest, new: Manifest) -> tuple[Problem, ...]:
    """Return what the API server would say to an update of a stored *old* object to *new*; places are those of *new*.

    Both are whole manifests: what the server fills in by itself (a ClusterIP) stays as it is where *new* is silent.
    """
    if (old.api_version, old.kind) != (new.api_version, new.kind):
        return ()
    causes = [*update_causes(new.kind, old.data, new.data), *check_of(new.api_version, new.kind)(new.data)]
    return tuple(problem for problem in as_problems(new, causes, ()) if problem.severity == "error")


def update_causes(kind: str, old: Object, new: Object) -> Causes:
    """Yield what may not change between two versions of an object."""
    rule = _RULES.get(kind)
    if rule is not None:
        yield from rule(old, new)


def _same(old: Object, new: Object, field: str) -> bool:
    default = _DEFAULTS.get(field)
    before, after = old.get(field, default), new.get(field, default)
    return bool((default if before is None else before) == (default if after is None else after))


def _service(old: Object, new: Object) -> Causes:
    before, after = obj(old, "spec"), obj(new, "spec")
    if "ExternalName" not in (service_type(before), service_type(after)):
        yield from _cluster_ips(before, after)
        yield from _families(before, after)
    if service_type(before) == service_type(after) == "LoadBalancer" and not _same(before, after, "loadBalancerClass"):
        value = after.get("loadBalancerClass")
        yield invalid(SPEC.child("loadBalancerClass"), value, _SET)
    port = number(after, "healthCheckNodePort")
    both = needs_health_check(before) and needs_health_check(after)
    if both and port and port != number(before, "healthCheckNodePort"):
        yield forbidden(SPEC.child("healthCheckNodePort"), IMMUTABLE)


def _cluster_ips(before: Object, after: Object) -> Causes:
    had, wants = cluster_ips(before), cluster_ips(after)
    if not wants or wants == [""] or (is_headless(before) and is_headless(after)):
        return
    # An address that the old manifest leaves to the server is there all the same, and is another one.
    for index, ip in enumerate(wants):
        if index >= max(1, len(had)) or (index < len(had) and had[index] == ip):
            continue
        listed = SPEC.child("clusterIPs").index(index)
        place = listed if texts(after, "clusterIPs") else At(("spec", "clusterIP"), listed.text)
        yield invalid(place, wants, _SET)


def _families(before: Object, after: Object) -> Causes:
    had, wants = list(texts(before, "ipFamilies")), list(texts(after, "ipFamilies"))
    if is_headless(before) or is_headless(after) or not had or not wants:
        return
    if had[0] != wants[0]:
        yield invalid(SPEC.child("ipFamilies").index(0), wants, _SET)


def _selector(old: Object, new: Object) -> Causes:
    before, after = obj(obj(old, "spec"), "selector"), obj(obj(new, "spec"), "selector")
    if as_go(before) != as_go(after):
        yield invalid(SPEC.child("selector"), as_go(after), IMMUTABLE)


def _stateful_set(old: Object, new: Object) -> Causes:
    before, after = obj(old, "spec"), obj(new, "spec")
    fields = {*before, *after} - set(_STATEFUL_MUTABLE)
    changed = sorted(field for field in fields if not _same(before, after, field))
    if changed:
        yield forbidden(At(("spec", changed[0]), "spec"), _STATEFUL)


def _job(old: Object, new: Object) -> Causes:
    before, after = obj(old, "spec"), obj(new, "spec")
    elastic = text(after, "completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")
    for field in ("completions", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"):
        if not _same(before, after, field) and not (field == "completions" and elastic):
            yield invalid(SPEC.child(field), after.get(field), IMMUTABLE)
    if before.get("template") != after.get("template"):
        yield invalid(SPEC.child("template"), after.get("template"), IMMUTABLE)


def _endpoint_slice(old: Object, new: Object) -> Causes:
    if text(old, "addressType") != text(new, "addressType"):
        yield invalid(ROOT.child("addressType"), text(new, "addressType"), IMMUTABLE)


def _pod(old: Object, new: Object) -> Causes:
    before, after = _frozen(obj(old, "spec")), _frozen(obj(new, "spec"))
    changed = sorted(field for field in {*before, *after} if before.get(field) != after.get(field))
    if changed:
        # The server adds a diff of its internal object here; the place says what changed.
        yield forbidden(At(("spec", changed[0]), "spec"), _POD)


_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")


def _frozen(spec: Object) -> dict[str, Any]:
    """Return what of a pod spec may not change."""
    kept = {key: value for key, value in spec.items() if key not in _POD_MUTABLE}
    for field in ("containers", "initContainers"):
        listed = spec.get(field)
        if isinstance(listed, list):
            kept[field] = [{**each, "image": None} if isinstance(each, dict) else each for each in listed]
    return kept


def _ingress_class(old: Object, new: Object) -> Causes:
    controller = text(obj(new, "spec"), "controller")
    if controller != text(obj(old, "spec"), "controller"):
        yield invalid(SPEC.child("controller"), controller, IMMUTABLE)


def _storage_class(old: Object, new: Object) -> Causes:
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if not _same(old, new, field):
            yield forbidden(ROOT.child(field), f"updates to {field} are forbidden.")
    if not _same(old, new, "volumeBindingMode"):
        yield invalid(ROOT.child("volumeBindingMode"), new.get("volumeBindingMode"), IMMUTABLE)


def _claim(old: Object, new: Object) -> Causes:
    before, after = obj(old, "spec"), obj(new, "spec")
    fields: Sequence[str] = sorted({*before, *after} - {"resources", "volumeAttributesClassName"})
    changed = [field for field in fields if not _same(before, after, field)]
    # Binding fills in volumeName once.
    if changed and not (changed == ["volumeName"] and not text(before, "volumeName")):
        yield forbidden(At(("spec", changed[0]), "spec"), _CLAIM)


def _immutable_data(old: Object, new: Object) -> Causes:
    """ConfigMaps and Secrets with `immutable: true`."""
    if not flag(old, "immutable"):
        return
    if not flag(new, "immutable"):
        yield forbidden(ROOT.child("immutable"), f"{IMMUTABLE} when `immutable` is set")
    for field in ("data", "binaryData"):
        if old.get(field) != new.get(field):
            yield forbidden(ROOT.child(field), f"{IMMUTABLE} when `immutable` is set")


def _secret(old: Object, new: Object) -> Causes:
    if has(new, "type") and text(old, "type", "Opaque") != text(new, "type", "Opaque"):
        yield invalid(ROOT.child("type"), text(new, "type"), IMMUTABLE)
    yield from _immutable_data(old, new)


_RULES: dict[str, Update] = {
    "Service": _service,
    "Deployment": _selector,
    "ReplicaSet": _selector,
    "DaemonSet": _selector,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "EndpointSlice": _endpoint_slice,
    "Pod": _pod,
    "IngressClass": _ingress_class,
    "StorageClass": _storage_class,
    "PersistentVolumeClaim": _claim,
    "ConfigMap": _immutable_data,
    "Secret": _secret,
}
