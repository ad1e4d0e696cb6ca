"""ipvs mode against what kube-proxy v1.36.2 left in ipvsadm, ipset, kube-ipvs0 and iptables-restore."""

from __future__ import annotations

import pytest

from iptables_gen.ipvs.text import (
    parse_addresses,
    parse_servers,
    parse_sets,
    render_addresses,
    render_servers,
    render_sets,
)
from iptables_gen.kubeproxy.ipvs import SETS, compile_input
from tests.iptables_gen.kubeproxy.recorded_modes import RECORDED, canon, inputs_of, recorded_nodes

NODES = recorded_nodes("ipvs")
BOTH_FAMILIES = (
    ("ipvsadm.txt", "ipvsadm.save"),
    ("ipset.txt", "ipset.save"),
    ("addrs.txt", "kube-ipvs0.addresses"),
)


def lines(text: str) -> list[str]:
    """Return the lines in sorted order, runs of blanks as one: their order is free."""
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip())


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_all_five_parts_are_the_recorded_ones(case: str, node: str) -> None:
    folder = RECORDED / case / f"ipvs-{node}"
    ipv4, ipv6 = (compile_input(one).render() for one in inputs_of(case, "ipvs", node))
    for recorded, name in BOTH_FAMILIES:
        assert lines(ipv4[name] + ipv6[name]) == lines((folder / recorded).read_text()), name
    for recorded, texts, name in (
        ("restore-input.txt", ipv4, "iptables.restore"),
        ("restore-input-v6.txt", ipv6, "ip6tables.restore"),
    ):
        assert canon(texts[name]) == canon((folder / recorded).read_text())
        assert texts[name] == (folder / recorded).read_text()


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_recorded_text_survives_parsing(case: str, node: str) -> None:
    folder = RECORDED / case / f"ipvs-{node}"
    servers, sets, addresses = ((folder / name).read_text() for name, _ in BOTH_FAMILIES)
    assert lines(render_servers(parse_servers(servers))) == lines(servers)
    assert lines(render_sets(parse_sets(sets))) == lines(sets)
    assert lines(render_addresses(parse_addresses(addresses))) == lines(addresses)


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_parsing_what_we_print_gives_what_we_printed(case: str, node: str) -> None:
    for one in inputs_of(case, "ipvs", node):
        state, texts = compile_input(one).state, compile_input(one).render()
        parsed = parse_servers(texts["ipvsadm.save"])
        assert [(s.name, s.scheduler, s.persistent, s.flags) for s in parsed] == [
            (s.name, s.scheduler, s.persistent, s.flags) for s in state.servers
        ]
        assert [[r[:4] for r in s.servers] for s in parsed] == [[r[:4] for r in s.servers] for s in state.servers]
        assert parse_addresses(texts["kube-ipvs0.addresses"]) == state.addresses
        assert [[e[:4] for e in s.entries] for s in parse_sets(texts["ipset.save"])] == [
            [e[:4] for e in s.entries] for s in state.sets
        ]


def test_there_are_seventeen_sets_in_each_family() -> None:
    for one in inputs_of("001-clusterip-one-endpoint", "ipvs", "node-1"):
        names = [found.name for found in compile_input(one).state.sets]
        assert len(names) == len(set(names)) == len(SETS) == 17
        assert max(map(len, names)) <= 31


def test_every_server_and_entry_of_a_service_has_an_origin() -> None:
    [ipv4, _] = inputs_of("099-kitchen-sink", "ipvs", "node-1")
    rules = compile_input(ipv4).rules()
    for table in ("ipvs", "ipset"):
        for rows in rules[table].values():
            for row in rows:
                assert row.origin is not None, row.text
