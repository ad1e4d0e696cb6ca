"""What README.md shows is what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from netsim.cli.main import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.S)
SHOWN = [block.partition("\n") for block in BLOCKS if not re.search(r"\n\$ ", block)]
COMMANDS = [
    line.split("#")[0].split("|")[0].strip()
    for line in re.findall(r"^\$ (netsim .*)$", README, re.M)
    if "topologies/" in line and " lab " not in line and "--serve" not in line
]


@pytest.mark.parametrize(
    ("command", "printed"), [(first[2:], rest) for first, _, rest in SHOWN], ids=lambda text: text[:60]
)
def test_a_command_shown_with_its_output_prints_it(command: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert CliRunner().invoke(cli, shlex.split(command)[1:], standalone_mode=False).stdout == printed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shown_works(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(cli, shlex.split(command)[1:], standalone_mode=False)
    assert result.exception is None
    assert result.stdout
    assert result.return_value in (0, 1)


def test_files_that_are_linked_exist() -> None:
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link}
    assert {link for link in linked if not (ROOT / link).exists()} == set()
