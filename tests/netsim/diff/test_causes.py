"""Every cause is complete, and docs/proxy-modes.md says the same as the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from netsim.diff.causes import CAUSES, Cause

DOCUMENT = (Path(__file__).parents[3] / "docs" / "proxy-modes.md").read_text()
REAL = [cause for code, cause in CAUSES.items() if code not in ("UNDETERMINED", "UNEXPLAINED")]


@pytest.mark.parametrize("cause", REAL, ids=lambda cause: cause.code)
def test_a_cause_is_documented_as_it_is_reported(cause: Cause) -> None:
    code, title = cause.code, cause.title
    modes = [cause.behaviour[mode] for mode in ("iptables", "nftables", "ipvs")]
    assert f"| `{code}` | {title} | {' | '.join(modes)} |" in DOCUMENT
    assert len(set(modes)) > 1
    assert cause.source
    assert cause.advice.endswith((".", ")."))
