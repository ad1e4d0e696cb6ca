"""`nft -j list ruleset`: rules that iptables made through nf_tables are read as far as JSON tells what they are."""

from __future__ import annotations

from typing import Any

import pytest

from iptables_gen.nft.jsontext import parse_json
from iptables_gen.nft.text import render_tables


def listed(*expressions: dict[str, Any]) -> str:
    """The text of the only rule of a chain that JSON lists with these expressions."""
    place = {"family": "ip", "table": "nat"}
    document = {
        "nftables": [
            {"metainfo": {"json_schema_version": 1}},
            {"table": {"family": "ip", "name": "nat", "handle": 1}},
            {"chain": {**place, "name": "CNI", "handle": 1}},
            {"rule": {**place, "chain": "CNI", "handle": 2, "expr": list(expressions)}},
        ]
    }
    lines = render_tables(parse_json(document).values()).splitlines()
    return next(line.strip() for line in lines[2:])


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        pytest.param({"type": "match", "name": "comment"}, 'xt match "comment"', id="a-comment-is-no-condition"),
        pytest.param({"type": "target", "name": "MASQUERADE"}, "masquerade", id="masquerade-needs-no-options"),
    ],
)
def test_an_extension_that_its_name_says_in_full(extension: dict[str, str], words: str) -> None:
    assert listed({"xt": extension}) == words


@pytest.mark.parametrize("name", ["addrtype", "set", "recent"])
def test_a_condition_without_its_options_is_not_guessed(name: str) -> None:
    words = listed({"xt": {"type": "match", "name": name}}, {"accept": None})
    assert words.startswith("json ")
    assert name in words
