"""From the bytes of one input to its documents: YAML split as kubectl splits it, JSON where the text is JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from netsim.errors import Problem, Where
from netsim.manifests import jsondoc, yamldoc
from netsim.manifests.objects import Positions
from netsim.manifests.repair import repaired
from netsim.manifests.sources import Text
from netsim.manifests.yamldoc import SyntaxProblem

BAD_YAML = "BadYAML"
_SEPARATOR = re.compile(rb"^---([^\n]*)(?:\n|\Z)", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
_SMALL = 1 << 20
"""Bytes up to which text that starts like JSON and is not JSON is tried as YAML's flow style."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, where its parts are, and what is doubtful in its text."""

    data: Any
    positions: Positions
    problems: tuple[Problem, ...] = ()


def documents(text: Text, *, mend: bool = False) -> Iterator[Document | Problem]:
    """Yield the documents of an input and the problems of those that cannot be read; empty documents are left out.

    With *mend* the object that a text probably means comes with the problem of the text.
    """
    raw = text.raw.removeprefix(_BOM)
    if raw.lstrip()[:1] in (b"{", b"["):
        yield from _json(text.name, raw)
    else:
        yield from _yaml(text.name, raw, mend=mend)


def _yaml(name: str, raw: bytes, *, mend: bool = False) -> Iterator[Document | Problem]:
    for part in split(name, raw):
        if isinstance(part, Problem):
            yield part
            continue
        content, line = part
        try:
            document = yamldoc.read(content, line)
        except yamldoc.BadYAML as error:
            yield _mended(name, content, line, error) if mend else _problem(name, error.problem)
            continue
        if document is not None and document.data is not None:
            problems = tuple(_problem(name, problem) for problem in document.problems)
            yield Document(document.data, yamldoc.YamlPositions(name, document.place, document.letters), problems)


def _mended(name: str, content: bytes, line: int, error: yamldoc.BadYAML) -> Document | Problem:
    """Return a document that cannot be read as what it probably says, marked with its problem."""
    problem = _problem(name, error.problem)
    mended = repaired(content, line)
    if mended is None or not isinstance(mended.document.data, dict):
        return problem
    document = mended.document
    positions = yamldoc.YamlPositions(name, document.place, document.letters)
    return Document(document.data, positions, (replace(problem, hint=problem.hint or mended.hint),))


def split(name: str, raw: bytes) -> Iterator[tuple[bytes, int] | Problem]:
    """Yield each document's text with the line it starts on, and a Problem for a separator that is none.

    Source:  apimachinery's YAMLReader: a line that starts with `---`, after which only a comment may follow.
    """
    start, line = 0, 1
    for match in _SEPARATOR.finditer(raw):
        yield raw[start : match.start()], line
        line += raw.count(b"\n", start, match.end())
        start = match.end()
        rest = match.group(1).strip()
        if rest and not rest.startswith(b"#"):
            ended = match.group().count(b"\n")
            yield _bad_separator(name, rest, line - ended)
            if rest.strip(b"-"):
                # What stands behind the dashes was meant to be the document's first line.
                start, line = raw.index(rest, match.start()), line - ended
    yield raw[start:], line


def _bad_separator(name: str, rest: bytes, line: int) -> Problem:
    text = f"invalid Yaml document separator: {rest.decode('utf-8', 'replace')}"
    hint = "documents are separated by a line of exactly ---"
    return Problem(Where(name, line, 4), text, reason=BAD_YAML, hint=hint)


def _json(name: str, raw: bytes) -> Iterator[Document | Problem]:
    source = jsondoc.Source(name, raw)
    try:
        document = _json_document(source, 0, raw, jsondoc.parse(raw))
    except jsondoc.NotJSON as error:
        yield from _other_than_one_json(source, error)
        return
    yield document


def _json_document(source: jsondoc.Source, start: int, raw: bytes, value: Any) -> Document:
    problems: tuple[Problem, ...] = ()
    if jsondoc.has_duplicate_keys(raw, value):
        problems = tuple(_problem(source.file, problem) for problem in jsondoc.duplicate_keys(source, start))
    return Document(value, jsondoc.JsonPositions(source, start), problems)


def _other_than_one_json(source: jsondoc.Source, error: jsondoc.NotJSON) -> Iterator[Document | Problem]:
    """Read several JSON documents in a row, or YAML in flow style."""
    raw = source.raw
    if not _is_utf8(raw):
        # libyaml's words for it name the byte that is wrong.
        yield from _yaml(source.file, raw)
        return
    found = 0
    try:
        for start, end in jsondoc.documents(raw):
            piece = raw[start:end]
            yield _json_document(source, start, piece, jsondoc.parse(piece))
            found += 1
    except jsondoc.NotJSON as later:
        if not found and len(raw) < _SMALL:
            parts = list(_yaml(source.file, raw))
            if not any(isinstance(part, Problem) for part in parts):
                yield from parts
                return
        worst = later if found else error
        where = source.where(min(worst.offset, len(raw)))
        yield Problem(where, f"error parsing JSON: {worst.message}", reason=BAD_YAML)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _problem(name: str, problem: SyntaxProblem) -> Problem:
    where = Where(name, problem.line, problem.column)
    severity: Any = "error" if problem.fatal or "already set" in problem.message else "warning"
    return Problem(where, problem.message, reason=BAD_YAML, hint=problem.hint, severity=severity)
