"""The two errors of this package."""

from __future__ import annotations


class RulesetSyntaxError(ValueError):
    """Text that no parser of this package can read; `str()` is `file:line:column: problem` and a caret line."""

    def __init__(self, problem: str, *, file: str = "-", line: int = 0, column: int = 0, text: str = "") -> None:
        self.problem, self.file, self.line, self.column, self.text = problem, file, line, column, text
        # One blank or mark for each, so that the caret stands where it should and a dump steers no terminal.
        shown = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)
        caret = f"\n  {shown}\n  {' ' * max(column - 1, 0)}^" if text else ""
        super().__init__(f"{file}:{line}:{column}: {problem}{caret}")


class CompileError(ValueError):
    """A proxy input from which no rule can be made."""
