"""Fixtures of the tests on the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.lab_support import netsim


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a test its own state folder, and remove every lab in it afterwards."""
    folder = tmp_path / "labs"
    monkeypatch.setenv("NETSIM_STATE", str(folder))
    yield folder
    for lab in folder.glob("*") if folder.exists() else ():
        netsim("lab", "down", lab.name, code=None)
