"""Read manifests: files, directories and standard input into located objects, and all that is wrong with them."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from netsim.errors import Problem, Where
from netsim.manifests.api import Loaded
from netsim.manifests.documents import Document, documents
from netsim.manifests.jsondoc import JsonPositions
from netsim.manifests.objects import Positions
from netsim.manifests.sources import texts
from netsim.manifests.structure import judge
from netsim.manifests.yamldoc import Place, YamlPositions

_MANY = 1000
"""Objects from which it pays to tell the collector of them."""


def load(
    paths: Sequence[str],
    *,
    recursive: bool = False,
    stdin: TextIO | BinaryIO | None = None,
    keep_bad: bool = False,
) -> Loaded:
    """Return all objects of all inputs, in input order, and every problem of reading them.

    *paths* are files, directories (their `*.yaml *.yml *.json`, below them too if *recursive*) and `-` for *stdin*.
    Objects with an error are left out. With *keep_bad*, for `validate`, they are kept, and each object of a kind that
    Kubernetes does not serve is an error of its own instead of one counted warning per kind.
    """
    with _no_collector():
        found = [part for text in texts(paths, recursive=recursive, stdin=stdin) for part in _read(text, mend=keep_bad)]
        items = [item for part in found for item in (_items(part) if isinstance(part, Document) else (part,))]
        judged = judge(items, keep_bad=keep_bad)
        if len(judged.objects) >= _MANY:
            # They live as long as the process: later collections need not walk them again and again.
            gc.freeze()
    return judged


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the cyclic collector from walking millions of fresh objects, none of which is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(text: Any, *, mend: bool) -> Iterator[Document | Problem]:
    if isinstance(text, Problem):
        yield text
        return
    empty = True
    for part in documents(text, mend=mend):
        empty = False
        yield part
    if empty:
        yield Problem(Where(text.name, 1, 1), "no objects in it", severity="warning")


@dataclass(frozen=True, slots=True)
class _Below:
    """Positions of a part of an object."""

    positions: Positions
    prefix: tuple[str | int, ...]

    def find(self, path: tuple[str | int, ...], *, key: bool = False) -> Where:
        return self.positions.find((*self.prefix, *path), key=key)


def _items(document: Document) -> Iterator[Document]:
    """Yield the document, or what a List holds."""
    data = document.data
    if not is_list(data):
        yield document
        return
    kind = str(data["kind"]).removesuffix("List")
    if document.problems:
        # Wrong text belongs to the file, not to one of the items.
        yield Document(None, document.positions, document.problems)
    for index, item in enumerate(data["items"]):
        inner = _item_positions(document.positions, index)
        if kind and isinstance(item, dict) and "kind" not in item and "apiVersion" not in item:
            item = {"apiVersion": data.get("apiVersion"), "kind": kind, **item}
        yield from _items(Document(item, inner))


def is_list(data: Any) -> bool:
    """Return whether a document is a List or a list of one kind (`ServiceList`) with its items."""
    return isinstance(data, dict) and str(data.get("kind", "")).endswith("List") and isinstance(data.get("items"), list)


def _item_positions(positions: Positions, index: int) -> Positions:
    if isinstance(positions, JsonPositions) and positions.index < 0:
        return JsonPositions(positions.source, positions.start, index)
    if isinstance(positions, YamlPositions) and isinstance(positions.root, Place):
        inner = positions.root.entries["items"][1]
        if isinstance(inner, Place):
            return YamlPositions(positions.file, inner.items[index], positions.letters)
    return _Below(positions, ("items", index))
