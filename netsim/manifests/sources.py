"""Files, directories and standard input as bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from netsim.errors import Problem, Where

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "<stdin>"
UNREADABLE = "Unreadable"
"""Reason of a problem with a file itself, which makes every verb exit 2."""


@dataclass(frozen=True, slots=True)
class Text:
    """The content of one input, with the name that problems give it."""

    name: str
    raw: bytes


def texts(paths: Sequence[str], *, recursive: bool, stdin: TextIO | BinaryIO | None) -> Iterator[Text | Problem]:
    """Yield each input's content in the order of *paths*, directories sorted by name; a Problem where unreadable."""
    for path in paths:
        if path == "-":
            yield _standard_input(stdin)
        elif os.path.isdir(path):
            yield from _directory(path, recursive)
        else:
            yield _file(path)


def _standard_input(stdin: TextIO | BinaryIO | None) -> Text | Problem:
    if stdin is None:
        import sys

        stdin = sys.stdin.buffer
    try:
        content = stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        return _unreadable(STDIN, f"cannot read standard input: {error}")
    return Text(STDIN, content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


def _file(path: str) -> Text | Problem:
    try:
        with open(path, "rb") as file:
            return Text(_utf8(path), file.read())
    except FileNotFoundError:
        return _unreadable(path, f'the path "{path}" does not exist')
    except (OSError, ValueError) as error:
        return _unreadable(path, f"cannot read: {getattr(error, 'strerror', None) or error}")


def _utf8(path: str) -> str:
    """Return a file's name as it is shown: bytes that are no UTF-8 are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _directory(path: str, recursive: bool) -> Iterator[Text | Problem]:
    """Yield the content of a directory's files; a warning where it has none."""
    if not _listable(path):
        yield _unreadable(path, "cannot read: Permission denied")
        return
    files = list(_files(path, recursive))
    if not files:
        what = f"no file named {', '.join('*' + suffix for suffix in SUFFIXES)} in it"
        yield Problem(Where(path), what, hint="" if recursive else "-R looks below it", severity="warning")
    yield from map(_file, files)


def _files(directory: str, recursive: bool) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(folders) if recursive else []
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(SUFFIXES))


def _listable(path: str) -> bool:
    return os.access(path, os.R_OK | os.X_OK)


def _unreadable(path: str, message: str) -> Problem:
    return Problem(Where(_utf8(path)), message, reason=UNREADABLE)
