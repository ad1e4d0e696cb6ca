"""What the real kube-proxy wrote and what the kernel then held, for every recorded node."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iptables_gen.values import Family
from iptables_gen.xtables.canonical import canonical
from iptables_gen.xtables.ir import Rule, Style, chains_of
from iptables_gen.xtables.text import guess_family, parse, parse_rule, render
from tests.conformance.canon import canon
from tests.iptables_gen.xtables.xtables_views import RECORDED

NODES = sorted(path for path in RECORDED.glob("*/*-*/") if (path / "restore-input.txt").exists())
PAIRS = [
    (node / restore, node / save, family)
    for node in NODES
    for restore, save, family in (
        ("restore-input.txt", "iptables-save.txt", 4),
        ("restore-input-v6.txt", "ip6tables-save.txt", 6),
    )
]
BY_PAIR = pytest.mark.parametrize(
    ("restore", "save", "family"),
    [pytest.param(*pair, id=f"{pair[0].parents[1].name} {pair[0].parent.name} IPv{pair[2]}") for pair in PAIRS],
)
ZERO = re.compile(r"\[\d+:\d+\] ")


def test_there_are_recordings() -> None:
    assert len(PAIRS) >= 260


@BY_PAIR
def test_restore_input_prints_back_byte_for_byte(restore: Path, save: Path, family: Family) -> None:
    text = restore.read_text()
    assert render(parse(text, str(restore), family), Style.RESTORE) == text


@BY_PAIR
def test_a_dump_prints_back_byte_for_byte(restore: Path, save: Path, family: Family) -> None:
    text = save.read_text()
    assert render(parse(text, str(save), family), Style.SAVE) == text


@BY_PAIR
def test_restore_spelling_becomes_the_kernels(restore: Path, save: Path, family: Family) -> None:
    written, kernel = parse(restore.read_text(), family=family), parse(save.read_text(), family=family)
    for table in written.tables:
        held = kernel.table(table.name)
        assert held is not None
        found = chains_of(held)
        for chain in chains_of(table).values():
            assert [rule.text for rule in chain.rules] == [rule.text for rule in found[chain.name].rules]


@BY_PAIR
def test_canonical_form_keeps_what_the_conformance_form_keeps(restore: Path, save: Path, family: Family) -> None:
    text = save.read_text()
    want = re.sub(r"^(:\S+ \S+) \[\d+:\d+\]$", r"\1", canon(text), flags=re.MULTILINE)
    assert canonical(parse(text, family=family)) == want


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[2] == 6], ids=lambda pair: pair[1].parents[1].name)
def test_the_family_of_a_dump_is_found_out(pair: tuple[Path, Path, Family]) -> None:
    text = pair[1].read_text()
    assert guess_family(text) == (6 if re.search(r"-[sd] [0-9a-f]*:|icmp6|ffff:", text) else 4)


def test_every_recorded_rule_is_understood() -> None:
    lines = {
        (line, table, pair[2]) for pair in PAIRS for table, block in _blocks(pair[1].read_text()) for line in block
    }
    for line, table, family in lines:
        rule = parse_rule(line, table, family)
        assert isinstance(rule, Rule)
        assert "Opaque" not in repr(rule)


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    blocks = [block.split("\n") for block in text.split("COMMIT\n") if block.strip()]
    return [(block[0].lstrip("*"), [line for line in block if line.startswith("-A")]) for block in blocks]
