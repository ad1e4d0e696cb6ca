"""Volumes of pods."""

from __future__ import annotations

from collections.abc import Callable

from netsim.validate import names
from netsim.validate.cause import At, Causes, duplicate, forbidden, invalid, invalids, not_supported, required
from netsim.validate.containers import descending_path
from netsim.validate.fields import Object, has, items, number, obj, text

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_SOURCES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def volumes(spec: Object, at: At) -> Causes:
    """Check the volumes of a pod spec; one without a source is an emptyDir."""
    seen: set[str] = set()
    for index, volume in enumerate(items(spec, "volumes")):
        place, name = at.child("volumes").index(index), text(volume, "name")
        yield from _source(volume, place)
        if not name:
            yield required(place.child("name"))
            continue
        yield from invalids(place.child("name"), name, names.dns_label(name))
        if name in seen:
            yield duplicate(place.child("name"), name)
        seen.add(name)


def _source(volume: Object, at: At) -> Causes:
    there = [source for source in _SOURCES if has(volume, source)]
    for extra in there[1:]:
        yield forbidden(at.child(extra), "may not specify more than 1 volume type")
    if there and (check := _CHECKS.get(there[0])):
        yield from check(obj(volume, there[0]), at.child(there[0]))


def host_path(found: Object, at: At) -> Causes:
    """Check a hostPath source."""
    path, kind = text(found, "path"), text(found, "type")
    if not path:
        yield required(at.child("path"))
    elif ".." in path.split("/"):
        yield invalid(at.child("path"), path, "must not contain '..'")
    if kind not in _HOST_PATH_TYPES:
        yield not_supported(at.child("type"), kind, _HOST_PATH_TYPES)


def nfs(found: Object, at: At) -> Causes:
    """Check an NFS source."""
    for field in ("server", "path"):
        if not text(found, field):
            yield required(at.child(field))
    if (path := text(found, "path")) and not path.startswith("/"):
        yield invalid(at.child("path"), path, "must be an absolute path")


def _secret(found: Object, at: At) -> Causes:
    if not text(found, "secretName"):
        yield required(at.child("secretName"))
    yield from _keys(found, at)


def _config_map(found: Object, at: At) -> Causes:
    if not text(found, "name"):
        yield required(at.child("name"))
    yield from _keys(found, at)


def _keys(found: Object, at: At) -> Causes:
    if has(found, "defaultMode") and not 0 <= number(found, "defaultMode") <= 0o777:
        yield invalid(at.child("defaultMode"), number(found, "defaultMode"), _MODE)
    for index, item in enumerate(items(found, "items")):
        place = at.child("items").index(index)
        if not text(item, "key"):
            yield required(place.child("key"))
        if not text(item, "path"):
            yield required(place.child("path"))
        yield from descending_path(text(item, "path"), place.child("path"))
        if has(item, "mode") and not 0 <= number(item, "mode") <= 0o777:
            yield invalid(place.child("mode"), number(item, "mode"), _MODE)


def _claim(found: Object, at: At) -> Causes:
    if not text(found, "claimName"):
        yield required(at.child("claimName"))


def _projected(found: Object, at: At) -> Causes:
    kinds = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")
    for index, source in enumerate(items(found, "sources")):
        place = at.child("sources").index(index)
        there = [kind for kind in kinds if has(source, kind)]
        for extra in there[1:]:
            yield forbidden(place.child(extra), "may not specify more than 1 volume type per source")
        for kind in ("secret", "configMap"):
            if has(source, kind) and not text(obj(source, kind), "name"):
                yield required(place.child(kind, "name"))
        if has(source, "downwardAPI"):
            yield from _downward(obj(source, "downwardAPI"), place.child("downwardAPI"))


def _downward(found: Object, at: At) -> Causes:
    for index, item in enumerate(items(found, "items")):
        place = at.child("items").index(index) if at.text.endswith("downwardAPI") else at
        if not text(item, "path"):
            yield required(place.child("path"))
        yield from descending_path(text(item, "path"), place.child("path"))
        if not has(item, "fieldRef") and not has(item, "resourceFieldRef"):
            yield required(place, "one of fieldRef and resourceFieldRef is required")


def _csi(found: Object, at: At) -> Causes:
    driver = text(found, "driver")
    if not driver:
        yield required(at.child("driver"))
    yield from invalids(at.child("driver"), driver, names.dns_subdomain(driver.lower()))


_CHECKS: dict[str, Callable[[Object, At], Causes]] = {
    "hostPath": host_path,
    "nfs": nfs,
    "secret": _secret,
    "configMap": _config_map,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
    "downwardAPI": _downward,
    "csi": _csi,
}
