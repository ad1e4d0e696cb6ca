"""The rules that do not depend on any Service: jumps from the built-in chains, forwarding, masquerading.

Source: observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

from typing import Final

from iptables_gen.kubeproxy.iptables_port import Settings
from iptables_gen.kubeproxy.iptables_shapes import fixed
from iptables_gen.kubeproxy.nodeports import is_loopback
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Row

CANARY: Final = "KUBE-PROXY-CANARY"
"""An empty chain in three tables: when it vanishes, somebody flushed the rules and kube-proxy syncs in full."""

NAT_CHAINS: Final = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
"""Chains of table nat that always exist, in written order."""

_FILTER_CHAINS: Final = (
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
)

# table, built-in chain, only new connections, comment, target: in the order of kube-proxy's calls, each of which
# *prepends* its rule, so that the last one of a chain runs first.
_JUMPS: Final = (
    ("filter", "INPUT", True, "kubernetes externally-visible service portals", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "FORWARD", True, "kubernetes externally-visible service portals", "KUBE-EXTERNAL-SERVICES"),
    ("filter", "INPUT", False, "kubernetes health check service ports", "KUBE-NODEPORTS"),
    ("filter", "FORWARD", True, "kubernetes service portals", "KUBE-SERVICES"),
    ("filter", "OUTPUT", True, "kubernetes service portals", "KUBE-SERVICES"),
    ("filter", "FORWARD", False, "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "INPUT", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", True, "kubernetes load balancer firewall", "KUBE-PROXY-FIREWALL"),
    ("nat", "OUTPUT", False, "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "PREROUTING", False, "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", False, "kubernetes postrouting rules", "KUBE-POSTROUTING"),
    ("filter", "INPUT", False, "", "KUBE-FIREWALL"),
    ("filter", "OUTPUT", False, "", "KUBE-FIREWALL"),
)


def jumps(family: Family, table: str) -> list[Row]:
    """Return the rules in the built-in chains of a table, in the order in which they run."""
    return [
        fixed(family, table, f"-A {chain} {_only_new(new)}{_comment(comment)}-j {target}")
        for where, chain, new, comment, target in reversed(_JUMPS)
        if where == table
    ]


def _only_new(new: bool) -> str:
    return "-m conntrack --ctstate NEW " if new else ""


def _comment(text: str) -> str:
    return f'-m comment --comment "{text}" ' if text else ""


def filter_chains(settings: Settings) -> tuple[str, ...]:
    """Return the chains of table filter, in written order; KUBE-FIREWALL only where its rule is written."""
    return (*_FILTER_CHAINS, "KUBE-FIREWALL") if settings.localhost else _FILTER_CHAINS


def localnet_guard(settings: Settings) -> list[Row]:
    """Return the rule that keeps others from reaching 127.0.0.0/8, which route_localnet=1 lets in (CVE-2020-8558)."""
    if not settings.localhost:
        return []
    line = (
        '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 '
        "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
    )
    return [fixed(settings.family, "filter", line)]


def forward(settings: Settings) -> list[Row]:
    """Return the KUBE-FORWARD chain: INVALID packets are dropped, masqueraded and established ones accepted."""
    mark = settings.masquerade_mark
    counted = "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts " if settings.counted else ""
    invalid = () if settings.conntrack_liberal else (f"-m conntrack --ctstate INVALID {counted}-j DROP",)
    clauses = (
        *invalid,
        f'-m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )
    return [fixed(settings.family, "filter", f"-A KUBE-FORWARD {clause}") for clause in clauses]


def masquerading(settings: Settings) -> list[Row]:
    """Return KUBE-POSTROUTING and KUBE-MARK-MASQ: a mark bit asks for masquerading and is cleared when done."""
    mark = settings.masquerade_mark
    lines = (
        f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
        f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
        '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" '
        "-j MASQUERADE --random-fully",
        f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}",
    )
    return [fixed(settings.family, "nat", line) for line in lines]


def node_port_jumps(settings: Settings) -> list[Row]:
    """Return the last rules of KUBE-SERVICES: packets to the node's own addresses go to the nodePorts."""
    comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    start = f'-A KUBE-SERVICES -m comment --comment "{comment}" '
    return [
        fixed(settings.family, "nat", f"{start}{destination} -j KUBE-NODEPORTS")
        for destination in _node_port_destinations(settings)
    ]


def _node_port_destinations(settings: Settings) -> list[str]:
    if settings.node_ports.match_all:
        return ["-m addrtype --dst-type LOCAL" + _except_loopback(settings)]
    addresses = settings.node_ports.addresses(settings.node)
    return [f"-d {ip}" for ip in addresses if settings.localhost or not is_loopback(ip)]


def _except_loopback(settings: Settings) -> str:
    if settings.localhost:
        return ""
    return " ! -d 127.0.0.0/8" if settings.family == 4 else " ! -d ::1/128"
