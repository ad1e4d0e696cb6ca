"""metadata: names, namespaces, labels, annotations, owners."""

from __future__ import annotations

from collections.abc import Callable

from netsim.validate import names
from netsim.validate.cause import META, At, Causes, invalid, invalids, required
from netsim.validate.fields import Object, flag, items, number, obj, strings, text, texts
from netsim.validate.labels import check_annotations, labels

NameRule = Callable[[str], list[str]]


def metadata(data: Object, *, namespaced: bool, rule: NameRule) -> Causes:
    """Check an object's metadata as on creation; an absent namespace is `default`."""
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
    for finalizer in texts(meta, "finalizers"):
        yield from invalids(META.child("finalizers"), finalizer, names.qualified_name(finalizer))


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
    controllers = 0
    for index, owner in enumerate(items(meta, "ownerReferences")):
        place = at.index(index)
        for field in ("apiVersion", "kind", "name", "uid"):
            if not text(owner, field):
                yield invalid(place.child(field), "", "must not be empty")
        controllers += flag(owner, "controller")
    if controllers > 1:
        why = "Only one reference can have Controller set to true."
        yield invalid(at, [dict(owner) for owner in items(meta, "ownerReferences")], why)
