"""stderr: what is said, how, and when."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr

import click
import pytest

from netsim.cli import main, terminal
from netsim.errors import Problem, Where
from netsim.notes import Note


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_long_work_shows_what_it_is(screen: Terminal) -> None:
    with redirect_stderr(screen), terminal.progress("thinking", after=0.01):
        end = time.monotonic() + 20
        while "thinking" not in screen.getvalue() and time.monotonic() < end:
            time.sleep(0.05)
    assert "thinking" in screen.getvalue()


def test_short_work_shows_nothing(screen: Terminal) -> None:
    with redirect_stderr(screen), terminal.progress("thinking", after=5):
        pass
    assert screen.getvalue() == ""


def test_the_spinner_ends_with_the_work_also_when_it_fails(screen: Terminal) -> None:
    with redirect_stderr(screen), pytest.raises(ZeroDivisionError), terminal.progress("thinking", after=0.01):
        1 / 0  # noqa: B018
    ended = screen.getvalue()
    time.sleep(0.2)
    assert screen.getvalue() == ended


def test_what_is_no_terminal_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("thinking", after=0):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_notes_and_warnings_are_said_once_and_not_at_all_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    note, problem = Note("CODE", "a\nb"), Problem(Where("f.yaml", 3, 4), "wrong\x1b[2J", kind="Pod", name="p")
    terminal.show_notes([note, note])
    terminal.show_warnings([problem])
    terminal.show_notes([note], quiet=True)
    terminal.show_warnings([problem], quiet=True)
    assert capsys.readouterr().err == "note: CODE: a\\nb\nwarning: f.yaml:3:4: Pod p: wrong\\x1b[2J\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(KeyError("x"), 70, "internal error: KeyError: 'x'", id="a-bug"),
        pytest.param(OSError(28, "No space left on device"), 3, "cannot write the answer: No space", id="a-full-disk"),
        pytest.param(OSError(2, "No such file"), 70, "internal error: FileNotFoundError", id="a-file-nobody-asked-for"),
        pytest.param(BrokenPipeError(32, "Broken pipe"), 0, "", id="a-reader-that-left"),
        pytest.param(KeyboardInterrupt(), 130, "", id="ctrl-c"),
        pytest.param(click.Abort(), 130, "", id="an-aborted-prompt"),
        pytest.param(click.exceptions.Exit(1), 1, "", id="an-exit"),
        pytest.param(click.UsageError("what?"), 2, "Error: what?", id="bad-usage"),
    ],
)
def test_every_way_to_end_has_its_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main.cli, "main", fail)
    assert main.run([]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert (output.err == "") is (said == "")
    assert output.out == ""
