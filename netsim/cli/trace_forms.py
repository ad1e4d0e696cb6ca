"""A trace in its other forms: pictures (dot, svg, html), the kernel's trace lines, a capture file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from netsim.report.html import Excerpt
    from netsim.trace.answer import Answer

FORMS = ("dot", "svg", "html", "kernel", "pcap")
AROUND = 3
"""So many lines of a manifest are shown before and after the one that matters."""
MOST_BYTES, LONGEST = 8 << 20, 400


def show_form(answer: Answer, params: Mapping[str, Any]) -> None:
    """Print an answer in one of FORMS; raise UsageError for a capture file on a terminal."""
    form, back = params["output"], params["with_return"]
    match form:
        case "kernel":
            from netsim.report.kernel_text import kernel_text

            click.echo(kernel_text(answer, back=back), nl=False)
        case "pcap":
            _write_capture(answer, back=back)
        case _:
            click.echo(_picture(answer, form, params), nl=False)


def _write_capture(answer: Answer, *, back: bool) -> None:
    from netsim.errors import UsageError
    from netsim.report.pcap import capture

    if sys.stdout.isatty():
        raise UsageError("-o pcap is a capture file, not text: write it to a file (> trace.pcap) or into tcpdump -r -")
    click.echo(capture(answer, back=back), nl=False)


def _picture(answer: Answer, form: str, params: Mapping[str, Any]) -> str:
    from netsim.report.html import html
    from netsim.report.lanes import lanes

    picture = lanes(answer, detail=params["detail"], back=params["with_return"])
    match form:
        case "dot":
            from netsim.report.dot import dot

            return dot(picture)
        case "svg":
            from netsim.report.svg import svg

            return svg(picture)
        case _:
            return html(picture, Manifests().excerpt)


class Manifests:
    """The text of manifest files, read when a line of one is shown."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def excerpt(self, file: str, line: int) -> Excerpt | None:
        """Return the lines around one; None when the file is gone, huge or was standard input."""
        if file not in self._lines:
            self._lines[file] = read_lines(file)
        return around(self._lines[file], line)


def around(lines: Sequence[str], line: int) -> Excerpt | None:
    """Return the lines around a line (1-based), never those of another document: that may be a Secret."""
    from netsim.report.html import Excerpt

    if not 0 < line <= len(lines):
        return None
    first = last = line
    while first > max(1, line - AROUND) and not lines[first - 2].startswith("---"):
        first -= 1
    while last < min(len(lines), line + AROUND) and not lines[last].startswith("---"):
        last += 1
    return Excerpt(first, line, tuple(text[:LONGEST] for text in lines[first - 1 : last]))


def read_lines(file: str) -> list[str]:
    """Return a file's lines, [] for what cannot be read as text."""
    from pathlib import Path

    path = Path(file)
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
