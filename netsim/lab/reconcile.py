"""From one plan to the next: only the difference is touched. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netsim.lab.ops import (
    AddAddress,
    AddRoute,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    DropNamespace,
    EndSpawn,
    LoadRules,
    MakeBridge,
    MakeNamespace,
    MakeVeth,
    Operation,
    Serve,
    Spawn,
    StopServe,
)


def reconcile(old: Sequence[Operation], new: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return what turns a lab made by the plan *old* into one made by *new*.

    A node whose rules changed gets all of its rules again (each load replaces a table at once); connections that the
    kernel tracks live on.
    """
    before, after = frozenset(old), frozenset(new)
    kept = {operation.namespace for operation in old if isinstance(operation, MakeNamespace) and operation in after}
    reload = _changed_rules(old, new)
    return (
        *(step for operation in reversed(old) if operation not in after for step in _undo(operation, kept)),
        *_dropped(old, after),
        *(operation for operation in new if _wanted(operation, before, reload)),
    )


def _wanted(operation: Operation, before: frozenset[Operation], reload: frozenset[str]) -> bool:
    if isinstance(operation, LoadRules):
        return operation.namespace in reload
    return operation not in before


def _changed_rules(old: Iterable[Operation], new: Iterable[Operation]) -> frozenset[str]:
    def by_namespace(operations: Iterable[Operation]) -> dict[str, list[LoadRules]]:
        found: dict[str, list[LoadRules]] = {}
        for operation in operations:
            if isinstance(operation, LoadRules):
                found.setdefault(operation.namespace, []).append(operation)
        return found

    before, after = by_namespace(old), by_namespace(new)
    return frozenset(name for name, rules in after.items() if before.get(name) != rules)


def _undo(operation: Operation, kept: set[str]) -> Iterator[Operation]:
    """Yield the reverse of an operation; what is inside a namespace that goes needs none."""
    match operation:
        case Serve(namespace, address, port, protocol):
            yield StopServe(namespace, address, port, protocol)
        case Spawn(namespace, _, label):
            yield EndSpawn(namespace, label)
        case AddRoute(namespace, destination, via, _, index, _, _, table) if namespace in kept:
            yield DeleteRoute(namespace, destination, via, index, table)
        case AddAddress(namespace, interface, index, address, prefix) if namespace in kept:
            yield DeleteAddress(namespace, interface, index, address, prefix)
        case MakeVeth(namespace, name, index) | MakeBridge(namespace, name, index) if namespace in kept:
            yield DeleteLink(namespace, name, index)
        case _:
            return


def _dropped(old: Iterable[Operation], after: frozenset[Operation]) -> Iterator[Operation]:
    for operation in old:
        if isinstance(operation, MakeNamespace) and operation not in after:
            yield DropNamespace(operation.namespace)
