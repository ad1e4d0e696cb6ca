"""The tour in docs/lab.md works exactly as written: every command is run, every line that it shows is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.lab_support import TOPOLOGIES

ROOT = TOPOLOGIES.parent
TEXT = (ROOT / "docs" / "lab.md").read_text()
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
pytestmark = pytest.mark.usefixtures("own_state")


def steps(section: str) -> list[tuple[str, list[str]]]:
    """Return (command, lines shown) of the console blocks of a section."""
    found: list[tuple[str, list[str]]] = []
    text = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def shows(shown: list[str], said: list[str]) -> bool:
    """Whether the lines said are those shown; an ellipsis alone stands for any lines, inside one for any text."""
    if not shown:
        return True
    first, rest = shown[0], shown[1:]
    if first == "…":
        return any(shows(rest, said[skip:]) for skip in range(len(said) + 1))
    pattern = ".*".join(re.escape(part) for part in first.split("…"))
    return bool(said) and re.fullmatch(pattern, said[0]) is not None and shows(rest, said[1:])


def follow(section: str) -> None:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    listed = steps(section)
    assert len(listed) >= 4
    for command, shown in listed:
        shell = ["bash", "-c", command]
        environment = {**os.environ, "PATH": tools}
        done = subprocess.run(shell, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
        said = (done.stdout + done.stderr).splitlines()
        assert shows(shown, said), f"$ {command}\n" + "\n".join(said)


@pytest.mark.kernel
def test_the_five_minutes() -> None:
    follow("Five minutes")


@pytest.mark.uml
def test_ipvs_anywhere() -> None:
    follow("ipvs mode anywhere")


def test_ellipses_stand_for_what_varies() -> None:
    assert shows(["a…c", "…", "z"], ["abc", "x", "y", "z"])
    assert not shows(["a…c", "z"], ["abc", "x", "z"])
