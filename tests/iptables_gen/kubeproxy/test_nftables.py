"""nftables mode against the recorded transactions of kube-proxy v1.36.2."""

from __future__ import annotations

import pytest

from iptables_gen.kubeproxy.nftables import compile_input
from iptables_gen.nft.canonical import canonical
from iptables_gen.nft.text import parse, render_tables
from tests.iptables_gen.kubeproxy.recorded_modes import RECORDED, canon, inputs_of, recorded_nodes

NODES = recorded_nodes("nftables")
FILES = ("nft-input.txt", "nft-input-v6.txt")
# kube-proxy writes its first transaction without this rule when its watch of ServiceCIDRs has not answered yet
# (recorded once, in 024, whose manifests hold the same ServiceCIDR as the cases that have the rule).
LATE_RULE = 'drop comment "Drop traffic to unallocated ClusterIPs"'


def without_late_rule(text: str) -> str:
    return "".join(line + "\n" for line in text.splitlines() if not line.endswith(LATE_RULE))


def comparable(ours: str, recorded: str) -> tuple[str, str]:
    if LATE_RULE in ours and LATE_RULE not in recorded:
        return without_late_rule(ours), recorded
    return ours, recorded


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_the_transaction_is_the_recorded_one(case: str, node: str) -> None:
    for proxy_input, file in zip(inputs_of(case, "nftables", node), FILES, strict=True):
        recorded = (RECORDED / case / f"nftables-{node}" / file).read_text()
        [(name, text)] = compile_input(proxy_input).render().items()
        assert name == ("ip.nft" if proxy_input.family == 4 else "ip6.nft")
        ours, theirs = comparable(text, recorded)
        assert canon(ours) == canon(theirs)
        if len(proxy_input.services) <= 1:
            assert ours == theirs


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_the_listing_is_the_recorded_one(case: str, node: str) -> None:
    recorded = (RECORDED / case / f"nftables-{node}" / "nft.txt").read_text()
    tables = [t for inp in inputs_of(case, "nftables", node) for t in compile_input(inp).tables.values()]
    ours, theirs = comparable(render_tables(tables), recorded)
    assert canon(ours) == canon(theirs)


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_recorded_text_survives_parsing(case: str, node: str) -> None:
    folder = RECORDED / case / f"nftables-{node}"
    listing = (folder / "nft.txt").read_text()
    assert canon(render_tables(parse(listing).values())) == canon(listing)


def test_there_is_at_most_one_recording_without_the_late_rule() -> None:
    late = [
        (case, node)
        for case, node in NODES
        if (RECORDED / case / "manifests" / "servicecidr.yaml").exists()
        and LATE_RULE not in (RECORDED / case / f"nftables-{node}" / "nft-input.txt").read_text()
    ]
    assert len(late) <= 1


def test_every_rule_and_element_of_a_service_has_an_origin() -> None:
    [ipv4, _] = inputs_of("099-kitchen-sink", "nftables", "node-1")
    for rows in compile_input(ipv4).rules().values():
        for name, listed in rows.items():
            for row in listed if "/" in name else ():
                assert row.origin is not None, row.text
                assert row.origin.kind in ("Service", "EndpointSlice", "Pod")


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_canonical_text_of_the_transaction_is_that_of_the_listing(case: str, node: str) -> None:
    folder = RECORDED / case / f"nftables-{node}"
    listing = (folder / "nft.txt").read_text()
    made = {**parse((folder / FILES[0]).read_text()), **parse((folder / FILES[1]).read_text())}
    assert canonical(made.values()) == canonical(parse(listing).values())
    for one in inputs_of(case, "nftables", node):
        tables = compile_input(one).tables
        assert parse(render_tables(tables.values())).keys() == tables.keys()
        assert canonical(parse(render_tables(tables.values())).values()) == canonical(tables.values())
