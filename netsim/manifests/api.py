"""What loading yields, and its one entry point's signature: `netsim.manifests.load.load(paths, recursive=…)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netsim.errors import Problem
from netsim.manifests.objects import Manifest
from netsim.notes import Note


@dataclass(frozen=True, slots=True)
class Loaded:
    """All objects of all files, in input order, Lists unpacked.

    `problems` are errors and warnings of reading (syntax, duplicate keys, no kind, wrong types, unknown fields).
    """

    objects: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Note, ...] = ()
    found: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    """Index of an object -> the problems above that are its own (with `keep_bad`)."""
