"""The only exceptions whose text is shown to people as it is, and the one form of a problem's line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in an input file; line and column are 1-based, 0 when unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a manifest: `file:line:col: Kind ns/name: field.path: message (hint)`.

    `field` is the API's path in its spelling, "" if none. `reason` is the API's cause reason (FieldValueInvalid …) or
    BadYAML, NoKindMatch, BadType, UnknownField. `message` is in Kubernetes' words. An error stops every verb but
    `validate`; a warning is printed and the object used.
    """

    where: Where
    message: str
    kind: str = ""
    namespace: str = ""
    name: str = ""
    field: str = ""
    reason: str = ""
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        owner = f"{self.namespace}/{self.name}" if self.namespace else self.name
        subject = f"{self.kind} {owner}".strip()
        parts = [str(self.where), *(part for part in (subject, self.field) if part), self.message]
        return printable(": ".join(parts) + (f" ({self.hint})" if self.hint else ""))


def printable(text: str) -> str:
    """Return text on one line with control characters escaped: untrusted names must not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def printable_lines(text: str) -> str:
    """Return text of several lines with control characters other than tabs escaped."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


class NetsimError(Exception):
    """Base of the errors printed as plain text; `exit_code` is the command line contract's."""

    exit_code = 2


class UsageError(NetsimError):
    """A word of the command line or of a query that cannot be understood."""


class ManifestErrors(NetsimError):
    """All problems of all files at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class LabError(NetsimError):
    """This machine cannot do it; the text names the missing capability, tool or package."""

    exit_code = 3
