"""`--queries FILE|-`: JSON lines in, one compact JSON object a line out, in the same order.

A verb gives one function from a query object to its answer object. `id` is echoed; a line that cannot be understood is
answered in its place by `{"id": …, "error": "…"}` and makes the exit code 2 at the end. A file that is one JSON
document `{"queries": […]}` (as query sets are often kept, over many lines or on one) is read as its queries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import orjson

from netsim.cli.terminal import show_notes
from netsim.errors import NetsimError, UsageError
from netsim.notes import Note

_FAILURE = frozenset(("id", "error"))
Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def answer_queries(source: str, answer: Answer, known: frozenset[str], *, quiet: bool = False) -> int:
    """Answer every line of *source*; return 0, or 2 when any line could not be understood.

    The answer's own `id` key, where it has one, is overwritten in place; unknown keys of queries are one note.
    """
    failed, unknown = False, set[str]()
    with _opened(source) as lines:
        for query in queries_of(lines):
            unknown.update(query.keys() - known - {"id", ""} if isinstance(query, dict) else ())
            result = _answered(query, answer)
            failed = failed or result.keys() == _FAILURE
            sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    sys.stdout.buffer.flush()
    if unknown:
        show_notes([Note("UNKNOWN_QUERY_KEYS", f"ignored: {', '.join(sorted(unknown))}")], quiet=quiet)
    return 2 if failed else 0


def queries_of(lines: Iterator[bytes]) -> Iterator[object]:
    """Yield the query of each line that is not blank, or those of the one document that the lines are.

    What is not JSON is a UsageError in its place.
    """
    filled = filter(bytes.strip, lines)
    for first in filled:
        query = _parsed(first)
        # The first line of a document over several lines is not JSON by itself.
        rest = list(filled) if isinstance(query, UsageError) else []
        document = _parsed(b"".join([first, *rest])) if rest else query
        if isinstance(document, dict) and isinstance(document.get("queries"), list):
            yield from document["queries"]
        else:
            yield query
            yield from map(_parsed, rest or filled)


def _parsed(line: bytes) -> object:
    """Return the value of a line, a UsageError where it is no JSON."""
    try:
        query = orjson.loads(line)
        # The id goes into the answer: what is nested too deep to be written is refused here.
        orjson.dumps(query.get("id") if isinstance(query, dict) else None)
    except orjson.JSONDecodeError as error:
        return UsageError(f"not a JSON object: {error}")
    except TypeError:
        return UsageError("not a JSON object: nested too deep")
    return query


def _answered(query: object, answer: Answer) -> Mapping[str, Any]:
    if not isinstance(query, dict):
        return {"id": None, "error": str(query) if isinstance(query, UsageError) else "not a JSON object"}
    identity = query.get("id")
    try:
        return with_id(answer(query), identity)
    except NetsimError as error:
        return {"id": identity, "error": str(error)}


def with_id(result: Mapping[str, Any], identity: object) -> Mapping[str, Any]:
    """Return the answer with its `id` set, in the place where the answer already has that key, else first."""
    return {**result, "id": identity} if "id" in result else {"id": identity, **result}


class _opened:
    """Context manager over the lines of a file or of standard input; unreadable files are usage errors."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._file: BinaryIO | None = None

    def __enter__(self) -> Iterator[bytes]:
        if self._source == "-":
            return iter(sys.stdin.buffer)
        try:
            self._file = open(self._source, "rb")
        except OSError as error:
            raise UsageError(f"--queries {self._source}: {error.strerror}") from error
        return iter(self._file)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
