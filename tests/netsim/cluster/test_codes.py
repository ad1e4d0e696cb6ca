"""Every code that building a cluster or `why` can say is in the closed list."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SAID = re.compile(r'(?:Note|Fix|Assumption)\(\s*"([A-Z_]+)"')


def test_codes_are_documented() -> None:
    sources = [*ROOT.glob("netsim/cluster/*.py"), *ROOT.glob("netsim/report/why*.py")]
    codes = {code for path in sources for code in SAID.findall(path.read_text())}
    documented = (ROOT / "docs" / "codes.md").read_text()
    assert len(codes) > 20
    assert {code for code in codes if f"`{code}`" not in documented} == set()
