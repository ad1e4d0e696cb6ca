"""kubectl's tables: the columns of each kind, aligned as kubectl aligns them (three blanks between columns)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.errors import printable

NONE = "<none>"
UNKNOWN = "<unknown>"
Cell = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, how an object's cell is made, and whether only `-o wide` shows it."""

    header: str
    cell: Cell
    wide: bool = False


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with columns padded to the widest cell and three blanks between; control characters are escaped."""
    safe = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in safe) for i in range(len(safe[0]))] if safe else []
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in safe
    )


def table(objects: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, wide: bool, namespaces: bool) -> str:
    """Return the table of objects of one kind, with a NAMESPACE column when asked for."""
    shown = [column for column in columns if wide or not column.wide]
    if namespaces:
        shown.insert(0, Column("NAMESPACE", lambda item: str(item.get("metadata", {}).get("namespace", ""))))
    rows = [[column.header for column in shown]]
    rows += [[column.cell(item) for column in shown] for item in objects]
    return aligned(rows)
