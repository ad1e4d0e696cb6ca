"""From byte offsets to lines and columns, in constant time after one quick pass: every rule of a cluster may ask."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 1 << 16
"""Bytes between two remembered places."""


@dataclass(frozen=True, slots=True)
class LineIndex:
    """For each block of a text: the line on which it starts (1-based), and the offset at which that line starts."""

    raw: bytes
    lines: tuple[int, ...]
    starts: tuple[int, ...]
    ascii_only: bool

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and the column (in characters), both 1-based, of a byte offset."""
        block = min(offset, len(self.raw)) // BLOCK
        begin = block * BLOCK
        line = self.lines[block] + self.raw.count(b"\n", begin, offset)
        last = self.raw.rfind(b"\n", begin, offset)
        start = self.starts[block] if last < 0 else last + 1
        return line, (offset - start if self.ascii_only else self._characters(start, offset)) + 1

    def _characters(self, start: int, offset: int) -> int:
        return len(self.raw[start:offset].decode("utf-8", "replace"))


def line_index(raw: bytes) -> LineIndex:
    """Return the index of a text."""
    lines, starts = [1], [0]
    for begin in range(0, len(raw), BLOCK):
        last = raw.rfind(b"\n", begin, begin + BLOCK)
        lines.append(lines[-1] + raw.count(b"\n", begin, begin + BLOCK))
        starts.append(starts[-1] if last < 0 else last + 1)
    return LineIndex(raw, tuple(lines), tuple(starts), raw.isascii())
