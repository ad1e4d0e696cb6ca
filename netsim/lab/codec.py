"""Operations as JSON, for the control socket between `lab apply` and the holder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, get_args

from netsim.lab import ops


def encode(operations: Iterable[ops.Operation]) -> list[dict[str, Any]]:
    """Return operations as JSON values."""
    return [{"operation": type(operation).__name__, **asdict(operation)} for operation in operations]


def decode(values: Iterable[Mapping[str, Any]]) -> tuple[ops.Operation, ...]:
    """Return the operations of `encode`; raise ValueError for anything else."""
    return tuple(_decode_one(value) for value in values)


def _decode_one(value: Mapping[str, Any]) -> ops.Operation:
    kinds = {kind.__name__: kind for kind in get_args(ops.Operation)}
    fields = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items() if key != "operation"}
    kind = kinds.get(str(value.get("operation")))
    if kind is None:
        raise ValueError(f"no operation {value.get('operation')!r}")
    try:
        operation: ops.Operation = kind(**fields)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return operation
