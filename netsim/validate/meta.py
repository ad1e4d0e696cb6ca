"""metadata: names, namespaces, labels, annotations, owners."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netsim.validate import names
from netsim.validate.cause import META, At, Causes, invalid, invalids, required
from netsim.validate.fields import Object, flag, items, number, obj, strings, text, texts
from netsim.validate.labels import check_annotations, labels

NameRule = Callable[[str], list[str]]


STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
"""Finalizers without a domain that objects of Kubernetes' own kinds may have."""


def metadata(data: Object, *, namespaced: bool, rule: NameRule, custom: bool = False) -> Causes:
    """Check an object's metadata as on creation; an absent namespace is `default`. `custom`: a custom resource's."""
    meta = obj(data, "metadata")
    yield from _name(meta, rule)
    if namespaced:
        namespace = text(meta, "namespace", "default")
        yield from invalids(META.child("namespace"), namespace, names.dns_label(namespace))
    if number(meta, "generation") < 0:
        yield invalid(META.child("generation"), number(meta, "generation"), "must be greater than or equal to 0")
    yield from labels(strings(meta, "labels"), META.child("labels"))
    yield from check_annotations(strings(meta, "annotations"), META.child("annotations"))
    yield from _owners(meta, META.child("ownerReferences"))
    yield from _finalizers(texts(meta, "finalizers"), META.child("finalizers"), custom=custom)


def _finalizers(given: Sequence[str], at: At, *, custom: bool) -> Causes:
    for finalizer in given:
        yield from invalids(at, finalizer, names.qualified_name(finalizer))
    if "orphan" in given and "foregroundDeletion" in given:
        yield invalid(at, list(given), "finalizer orphan and foregroundDeletion cannot be both set")
    for index, finalizer in enumerate(given):
        if not custom and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(at.index(index), finalizer, why)


def _name(meta: Object, rule: NameRule) -> Causes:
    prefix = text(meta, "generateName")
    if prefix:
        # What is generated gets five characters behind; a final hyphen is fine in a prefix.
        yield from invalids(META.child("generateName"), prefix, rule(prefix.removesuffix("-") or "a"))
    name = text(meta, "name")
    if not name:
        if not prefix:
            yield required(META.child("name"), "name or generateName is required")
        return
    yield from invalids(META.child("name"), name, rule(name))


def _owners(meta: Object, at: At) -> Causes:
    owners = items(meta, "ownerReferences")
    for index, owner in enumerate(owners):
        place = at.index(index)
        if not text(owner, "apiVersion").rpartition("/")[2]:
            yield invalid(place.child("apiVersion"), text(owner, "apiVersion"), "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not text(owner, field):
                yield invalid(place.child(field), "", "must not be empty")
    controllers = [f"{text(owner, 'kind')}/{text(owner, 'name')}" for owner in owners if flag(owner, "controller")]
    for controller in controllers[1:]:
        found = f'Found "true" in references for {controllers[0]} and {controller}'
        yield invalid(at, [dict(o) for o in owners], f"Only one reference can have Controller set to true. {found}")
