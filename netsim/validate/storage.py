"""PersistentVolume, PersistentVolumeClaim, StorageClass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.manifests.goformat import go_json
from netsim.validate import names
from netsim.validate.affinity import node_selector
from netsim.validate.cause import (
    ROOT,
    SPEC,
    At,
    Cause,
    Causes,
    forbidden,
    invalid,
    invalids,
    not_supported,
    required,
    warning,
)
from netsim.validate.fields import Object, has, obj, strings, text, texts
from netsim.validate.labels import selector
from netsim.validate.meta import metadata
from netsim.validate.resources import quantity, shown
from netsim.validate.volumes import host_path, nfs

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM = ("Delete", "Recycle", "Retain")
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)


def persistent_volume(data: Object) -> Causes:
    """Check a PersistentVolume."""
    spec = obj(data, "spec")
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)
    yield from _access_modes(spec, SPEC, "")
    yield from _capacity(spec)
    policy = text(spec, "persistentVolumeReclaimPolicy", "Retain")
    if policy not in _RECLAIM:
        yield not_supported(SPEC.child("persistentVolumeReclaimPolicy"), policy, _RECLAIM)
    yield from _node_affinity(spec)
    yield from _source(spec)
    yield from _class_and_mode(spec, SPEC)
    if policy == "Recycle":
        said = (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
        yield warning(SPEC.child("persistentVolumeReclaimPolicy"), said)


def _access_modes(spec: Object, at: At, why: str) -> Causes:
    modes, place = texts(spec, "accessModes"), at.child("accessModes")
    if not modes:
        yield required(place, why)
    for index, mode in enumerate(modes):
        if mode not in _MODES:
            yield not_supported(At((*place.parts, index), place.text), mode, _MODES)
    if "ReadWriteOncePod" in modes and any(mode in _MODES and mode != "ReadWriteOncePod" for mode in modes):
        yield forbidden(place, "may not use ReadWriteOncePod with other access modes")


def _capacity(spec: Object) -> Causes:
    capacity, at = obj(spec, "capacity"), SPEC.child("capacity")
    if not capacity:
        yield required(at)
    if "storage" not in capacity or len(capacity) > 1:
        value = go_json(dict(capacity)) if capacity else "null"
        yield Cause(at, f'Unsupported value: {value}: supported values: "storage"', "FieldValueNotSupported")
    for name, value in capacity.items():
        yield from _positive(value, at.key(name))


def _positive(value: object, at: At) -> Causes:
    amount = quantity(value)
    if amount is not None and amount <= 0:
        yield invalid(at, shown(value), "must be greater than zero")


def _node_affinity(spec: Object) -> Causes:
    if not has(spec, "nodeAffinity"):
        return
    found, at = obj(spec, "nodeAffinity"), SPEC.child("nodeAffinity")
    if has(found, "required"):
        yield from node_selector(obj(found, "required"), at.child("required"))
    else:
        yield required(at.child("required"), "must specify required node constraints")


def _source(spec: Object) -> Causes:
    there = [source for source in _SOURCES if has(spec, source)]
    if not there:
        yield required(SPEC, "must specify a volume type")
        return
    for extra in there[1:]:
        yield forbidden(SPEC.child(extra), "may not specify more than 1 volume type")
    if check := _CHECKS.get(there[0]):
        yield from check(obj(spec, there[0]), SPEC.child(there[0]))
    if there[0] == "local" and not has(obj(spec, "nodeAffinity"), "required"):
        yield required(SPEC.child("nodeAffinity"), "Local volume requires node affinity")
    path = text(obj(spec, "hostPath"), "path")
    if path and not path.strip("/") and text(spec, "persistentVolumeReclaimPolicy") == "Recycle":
        place = SPEC.child("persistentVolumeReclaimPolicy")
        yield forbidden(place, "may not be 'recycle' for a hostPath mount of '/'")


def _local(found: Object, at: At) -> Causes:
    path = text(found, "path")
    if not path:
        yield required(at.child("path"))
    elif ".." in path.split("/"):
        yield invalid(at.child("path"), path, "must not contain '..'")


def _csi(found: Object, at: At) -> Causes:
    driver = text(found, "driver")
    if not driver:
        yield required(at.child("driver"))
    yield from invalids(at.child("driver"), driver, names.dns_subdomain(driver.lower()))
    if not text(found, "volumeHandle"):
        yield required(at.child("volumeHandle"))


_CHECKS: dict[str, Callable[[Object, At], Causes]] = {"hostPath": host_path, "nfs": nfs, "local": _local, "csi": _csi}


def _class_and_mode(spec: Object, at: At) -> Causes:
    if name := text(spec, "storageClassName"):
        yield from invalids(at.child("storageClassName"), name, names.dns_subdomain(name))
    if has(spec, "volumeMode") and text(spec, "volumeMode") not in _VOLUME_MODES:
        yield not_supported(at.child("volumeMode"), text(spec, "volumeMode"), _VOLUME_MODES)


def claim(data: Object) -> Causes:
    """Check a PersistentVolumeClaim."""
    yield from metadata(data, namespaced=True, rule=names.dns_subdomain)
    yield from claim_spec(obj(data, "spec"), SPEC)


def claim_spec(spec: Object, at: At) -> Causes:
    """Check what is asked for, in a claim or in a template of claims."""
    yield from _access_modes(spec, at, "at least 1 access mode is required")
    yield from selector(spec, "selector", at)
    requests = obj(obj(spec, "resources"), "requests")
    place = At((*at.child("resources", "requests").parts, "storage"), f"{at.text}.resources[storage]")
    if "storage" in requests:
        yield from _positive(requests["storage"], place)
    else:
        yield required(At(at.child("resources", "requests").parts, place.text))
    yield from _class_and_mode(spec, at)


def storage_class(data: Object) -> Causes:
    """Check a StorageClass."""
    yield from metadata(data, namespaced=False, rule=names.dns_subdomain)
    provisioner, at = text(data, "provisioner"), ROOT.child("provisioner")
    if provisioner:
        yield from invalids(at, provisioner, names.qualified_name(provisioner.lower()))
    else:
        yield required(at)
    for key in strings(data, "parameters"):
        if not key:
            yield invalid(ROOT.child("parameters"), key, "field can not be empty.")
    yield from _one_of(data, "reclaimPolicy", "Delete", ("Delete", "Retain"))
    yield from _one_of(data, "volumeBindingMode", "Immediate", ("Immediate", "WaitForFirstConsumer"))


def _one_of(data: Object, field: str, default: str, supported: Sequence[str]) -> Causes:
    value = text(data, field, default)
    if value not in supported:
        yield not_supported(ROOT.child(field), value, supported)
