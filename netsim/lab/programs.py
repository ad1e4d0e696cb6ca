"""The rule programs of nodes as operations: the text that `netsim compile` prints, loaded by the kernel's own tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netsim.hosts.model import Host
from netsim.lab.ops import LoadRules, MakeAccounting, Operation
from netsim.lab.plan import namespace_name

NFACCT = ("ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts")
# kube-proxy prepends its jumps, the CNI appends its rules: kube-proxy's text first gives the order of a real node.
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
    """Yield (file name, text) of every program, ipsets before the rules that name them."""
    ordered = sorted(host.dataplanes, key=lambda item: item.label != "kube-proxy")
    for item in ordered:
        rendered = item.program.render()
        yield from ((name, rendered[name]) for name in LOADERS if rendered.get(name))
