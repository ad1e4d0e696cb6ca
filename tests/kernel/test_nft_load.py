"""The real nft accepts what nftables mode compiles, and lists it as we say it would."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from iptables_gen.kubeproxy.nftables import compile_input
from iptables_gen.nft.canonical import canonical
from iptables_gen.nft.ir import Table
from iptables_gen.nft.jsontext import parse_json
from iptables_gen.nft.text import parse, render_tables
from tests.iptables_gen.kubeproxy.recorded_modes import RECORDED, canon, inputs_of, recorded_nodes

pytestmark = pytest.mark.kernel
NODES = recorded_nodes("nftables")
LATE_RULE = 'drop comment "Drop traffic to unallocated ClusterIPs"'


class Namespace:
    """One network namespace with nft in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def nft(self, *words: str, text: str = "") -> str:
        command = ["ip", "netns", "exec", self.name, "nft", *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    name = f"netsim-nft-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Namespace(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def without_what_json_lacks(table: Table) -> Table:
    """nft 1.0.6 prints no comments of tables and chains and no flag `dynamic` in JSON."""
    chains = {name: replace(chain, comment="") for name, chain in table.chains.items()}
    sets = {n: replace(s, flags=tuple(f for f in s.flags if f != "dynamic")) for n, s in table.sets.items()}
    return replace(table, comment="", chains=chains, sets=sets)


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_the_kernel_lists_what_was_recorded(namespace: Namespace, case: str, node: str) -> None:
    compiled = [compile_input(one) for one in inputs_of(case, "nftables", node)]
    text = "".join(text for one in compiled for text in one.render().values())
    namespace.nft("flush", "ruleset")
    namespace.nft("-c", "-f", "-", text=text)
    namespace.nft("-f", "-", text=text)
    listed = namespace.nft("list", "ruleset")
    recorded = (RECORDED / case / f"nftables-{node}" / "nft.txt").read_text()
    if LATE_RULE in recorded or LATE_RULE not in listed:
        assert canon(listed) == canon(recorded)
    assert canon(render_tables([t for one in compiled for t in one.tables.values()])) == canon(listed)
    made = [table for one in compiled for table in one.tables.values()]
    assert canonical(parse(listed).values()) == canonical(made)


@pytest.mark.parametrize(("case", "node"), NODES[::6], ids=lambda value: value)
def test_the_json_listing_says_the_same_as_the_text(namespace: Namespace, case: str, node: str) -> None:
    text = "".join(t for one in inputs_of(case, "nftables", node) for t in compile_input(one).render().values())
    namespace.nft("flush", "ruleset")
    namespace.nft("-f", "-", text=text)
    from_json = parse_json(json.loads(namespace.nft("-j", "list", "ruleset")))
    from_text = parse(namespace.nft("list", "ruleset"))
    assert list(from_json) == list(from_text)
    for key, table in from_text.items():
        assert canon(render_tables([from_json[key]])) == canon(render_tables([without_what_json_lacks(table)]))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"detect_local_mode": "BridgeInterface", "bridge_interface": "cni0"}, id="bridge"),
        pytest.param({"detect_local_mode": "InterfaceNamePrefix", "interface_name_prefix": "veth"}, id="name-prefix"),
        pytest.param({"masquerade_all": True}, id="masquerade-all"),
        pytest.param({"nftables_masquerade_bit": 31}, id="highest-bit"),
        pytest.param({"node_port_addresses": ("0.0.0.0/0", "::/0")}, id="every-address"),
    ],
)
@pytest.mark.parametrize("case", ["031-itp-local-etp-local-nodeport", "045-lb-source-ranges-node", "099-kitchen-sink"])
def test_settings_that_were_not_recorded_load_and_list(
    namespace: Namespace, case: str, settings: dict[str, Any]
) -> None:
    given = inputs_of(case, "nftables", "node-1")
    compiled = [compile_input(replace(one, config=replace(one.config, **settings))) for one in given]
    namespace.nft("flush", "ruleset")
    namespace.nft("-f", "-", text="".join(text for one in compiled for text in one.render().values()))
    listed = namespace.nft("list", "ruleset")
    assert canonical(parse(listed).values()) == canonical([t for one in compiled for t in one.tables.values()])
