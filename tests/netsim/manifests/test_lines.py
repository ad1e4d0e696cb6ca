"""Lines and columns of byte offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.manifests import lines
from netsim.manifests.lines import line_index


@given(st.text(alphabet='a{}"\né字', max_size=60), st.integers(0, 60), st.integers(1, 7))
def test_a_place_is_the_one_that_counting_finds(text: str, at: int, block: int) -> None:
    raw = text.encode()
    offset = len(text[:at].encode())
    before = text[:at]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        assert line_index(raw).place(offset) == (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def test_an_offset_at_the_end_has_a_place() -> None:
    assert line_index(b"a\nbc").place(4) == (2, 3)
    assert line_index(b"").place(0) == (1, 1)
