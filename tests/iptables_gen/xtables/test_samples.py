"""223 rules, each as written and as iptables 1.8.9 (nft variant) printed it back."""

from __future__ import annotations

import pytest

from iptables_gen.values import Family
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.text import parse_rule
from tests.iptables_gen.xtables.xtables_views import HERE

Sample = tuple[Family, str, str, str]


def samples() -> list[Sample]:
    """Return (family, table, written, printed) of every block of the sample files."""
    families: dict[Family, str] = {4: "ipv4.txt", 6: "ipv6.txt"}
    found: list[Sample] = []
    for family, name in families.items():
        blocks = (HERE / "samples" / name).read_text().split("\n\n")
        found += [(family, *block.strip("\n").split("\n")) for block in blocks if block.strip()]  # type: ignore[misc]
    return found


SAMPLES = samples()
BY_RULE = pytest.mark.parametrize(
    ("family", "table", "written", "printed"), [pytest.param(*one, id=f"IPv{one[0]} {one[2]}") for one in SAMPLES]
)


def test_the_sample_files_are_read_whole() -> None:
    assert len(SAMPLES) == 223


@BY_RULE
def test_save_style_is_what_the_kernel_prints(family: Family, table: str, written: str, printed: str) -> None:
    assert parse_rule(written, table, family).render(Style.SAVE) == printed


@BY_RULE
def test_what_the_kernel_prints_is_read_back_the_same(family: Family, table: str, written: str, printed: str) -> None:
    assert parse_rule(printed, table, family).render(Style.SAVE) == printed


@BY_RULE
def test_restore_style_keeps_the_rule(family: Family, table: str, written: str, printed: str) -> None:
    rule = parse_rule(written, table, family)
    assert parse_rule(rule.render(Style.RESTORE), table, family) == rule
