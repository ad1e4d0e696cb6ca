"""stderr: notes, warnings, progress, and what is said when netsim itself is at fault."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from netsim.errors import Problem, printable, printable_lines
from netsim.notes import Note


def say(text: str) -> None:
    """Print one line to stderr, control characters escaped."""
    _tell(printable(text))


def complain(text: str) -> None:
    """Print an error of one or more lines to stderr, control characters escaped."""
    _tell(printable_lines(text))


def _tell(text: str) -> None:
    # A stderr that takes no more is no reason to keep the answer back.
    with suppress(OSError):
        print(text, file=sys.stderr)


def show_notes(notes: Iterable[Note], *, quiet: bool = False) -> None:
    """Print each note once, in order."""
    if not quiet:
        for note in dict.fromkeys(notes):
            say(f"note: {note}")


def show_warnings(problems: Iterable[Problem], *, quiet: bool = False) -> None:
    """Print each warning on its line."""
    if not quiet:
        for problem in problems:
            say(f"warning: {problem}")


def report_bug(error: BaseException) -> int:
    """Say that netsim is at fault, with the traceback for the report; return exit code 70 (EX_SOFTWARE)."""
    complain("".join(traceback.format_exception(error)).rstrip("\n"))
    say(f"netsim: internal error: {type(error).__name__}: {error}; please report this with the input that caused it")
    return 70


@contextmanager
def progress(text: str, *, after: float = 1.0) -> Iterator[None]:
    """Show *text* with a spinner on a terminal when the work inside takes longer than *after* seconds."""
    if not sys.stderr.isatty():
        yield
        return
    from threading import Event, Thread

    done = Event()
    spinner = Thread(target=_spin, args=(text, after, done), daemon=True)
    spinner.start()
    try:
        yield
    finally:
        done.set()
        spinner.join()


def _spin(text: str, after: float, done: object) -> None:
    from threading import Event

    assert isinstance(done, Event)
    if done.wait(after):
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        done.wait()
