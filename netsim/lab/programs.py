"""The rule programs of nodes as operations: the text that `netsim compile` prints, loaded by the kernel's own tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from iptables_gen.dataplane import Dataplane
from netsim.hosts.model import Host, LabelledDataplane
from netsim.hosts.programs import LazyDataplane
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
    if first and name == "ipvsadm.save":
        return ("sh", "-c", "ipvsadm -C && ipvsadm -R")
    return command if first or "tables-restore" not in command[0] else (*command, "--noflush")


def _replacing(name: str, text: str) -> str:
    if name == "ipset.save":
        return "".join(f"{line}\n{_flush(line)}" for line in text.splitlines())
    table = {"ip.nft": "ip kube-proxy", "ip6.nft": "ip6 kube-proxy"}.get(name)
    return f"add table {table}\ndelete table {table}\n{text}" if table else text


def _flush(line: str) -> str:
    words = line.split(" ")
    return f"flush {words[1]}\n" if words[0] == "create" else ""


def _texts(host: Host) -> Iterator[tuple[str, str]]:
    """Yield (file name, text) of every program in the order that gives a real node's, ipsets before their rules."""
    for item in sorted(host.dataplanes, key=_turn):
        rendered = {**item.program.render(), **_whole_rules(item.program)}
        # Without virtual servers the old ones have to go all the same.
        yield from ((n, rendered[n]) for n in LOADERS if rendered.get(n) or (n in rendered and n == "ipvsadm.save"))


def _whole_rules(program: Dataplane) -> Mapping[str, str]:
    """Return the iptables rules of an ipvs program with the jumps into them, which kube-proxy makes apart."""
    from iptables_gen.ipvs.dataplane import IpvsDataplane
    from iptables_gen.xtables.ir import Style
    from iptables_gen.xtables.text import render

    made = program.program if isinstance(program, LazyDataplane) else program
    if not isinstance(made, IpvsDataplane):
        return {}
    return {f"{'iptables' if made.family == 4 else 'ip6tables'}.save": render(made.ruleset, Style.RESTORE)}


def _turn(item: LabelledDataplane) -> int:
    """Return when a program is loaded.

    On a node the CNI comes first. In one table kube-proxy then prepends its jumps: loading its text first gives the
    same. Tables of its own (nftables) come last: of base chains with one priority the kernel runs the newest first
    (net/netfilter/core.c, nf_hook_entries_grow; seen in its rule trace).
    """
    if item.label != "kube-proxy":
        return 1
    return 2 if any(name.endswith(".nft") for name in item.program.render()) else 0
