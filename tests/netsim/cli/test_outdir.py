"""Files of --out-dir: all or none, atomically, and never outside the directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.cli.outdir import Write, stage_files
from netsim.errors import NetsimError, UsageError


def test_nothing_appears_before_the_end(tmp_path: Path) -> None:
    with stage_files(str(tmp_path)) as write:
        write(("node-1", "a"), "text")
        assert not (tmp_path / "node-1").exists()
    assert (tmp_path / "node-1" / "a").read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["node-1"]


def _write_twice(write: Write) -> None:
    write(("a",), "new")
    write(("..",), "outside")


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(NetsimError), stage_files(str(tmp_path)) as write:
        _write_twice(write)
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_error_removes_only_directories_that_were_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), stage_files(str(tmp_path / "x" / "y")):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "/etc", "nul\0", "line\nbreak"])
def test_names_that_lead_elsewhere_are_refused(part: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name"), stage_files(str(tmp_path)) as write:
        write((part, "a"), "text")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_the_file_system_refuses_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetsimError, match="cannot write"), stage_files(str(tmp_path)) as write:
        write(("a" * 300,), "text")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="--out-dir"), stage_files(str(tmp_path)) as write:
        write(("a",), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")
    with pytest.raises(UsageError, match="--out-dir"), stage_files(str(tmp_path / "a")):
        pass
