"""The rule programs of nodes as operations: the text that `netsim compile` prints, loaded by the kernel's own tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netsim.hosts.model import Host, LabelledDataplane
from netsim.lab.ops import LoadRules, MakeAccounting, Operation
from netsim.lab.plan import namespace_name

NFACCT = ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts")
LOADERS: Mapping[str, tuple[str, ...]] = {
    "ipset.save": ("ipset", "restore", "-exist"),
    "ipvsadm.save": ("ipvsadm", "-R"),
    "iptables.save": ("iptables-restore",),
    "ip6tables.save": ("ip6tables-restore",),
    "ip.nft": ("nft", "-f", "-"),
    "ip6.nft": ("nft", "-f", "-"),
}


def program_operations(hosts: Iterable[Host]) -> Iterator[Operation]:
    """Yield what loads the rules of every host, kube-proxy's before the CNI's."""
    for host in hosts:
        namespace = namespace_name(host)
        texts = list(_texts(host))
        if any("nfacct" in text for _, text in texts):
            yield from (MakeAccounting(namespace, name) for name in NFACCT)
        loaded: set[str] = set()
        for name, text in texts:
            # The first text of a kind replaces what there was, so that the same operations also reload a changed node.
            yield LoadRules(namespace, _command(name, first=name not in loaded), _replacing(name, text))
            loaded.add(name)


def _command(name: str, *, first: bool) -> tuple[str, ...]:
    command = LOADERS[name]
    return command if first or "tables-restore" not in command[0] else (*command, "--noflush")


def _replacing(name: str, text: str) -> str:
    table = {"ip.nft": "ip kube-proxy", "ip6.nft": "ip6 kube-proxy"}.get(name)
    return f"add table {table}\ndelete table {table}\n{text}" if table else text


def _texts(host: Host) -> Iterator[tuple[str, str]]:
    """Yield (file name, text) of every program in the order that gives a real node's, ipsets before their rules."""
    for item in sorted(host.dataplanes, key=_turn):
        rendered = item.program.render()
        yield from ((name, rendered[name]) for name in LOADERS if rendered.get(name))


def _turn(item: LabelledDataplane) -> int:
    """Return when a program is loaded.

    On a node the CNI comes first. In one table kube-proxy then prepends its jumps: loading its text first gives the
    same. Tables of its own (nftables) come last: of base chains with one priority the kernel runs the newest first
    (net/netfilter/core.c, nf_hook_entries_grow; seen in its rule trace).
    """
    if item.label != "kube-proxy":
        return 1
    return 2 if any(name.endswith(".nft") for name in item.program.render()) else 0
