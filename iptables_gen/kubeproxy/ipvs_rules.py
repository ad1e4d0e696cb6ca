"""ipvs mode, the iptables part: what masquerades, accepts and refuses by ipset.

Order and spelling observed on kube-proxy v1.36.2. A rule over a set appears only when the set holds something, except
the health check rule and the six of KUBE-IPVS-FILTER.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from iptables_gen.kubeproxy.detect import Detector, detector
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.iptables_shapes import fixed
from iptables_gen.values import Family
from iptables_gen.xtables.ir import ChainLine, Row, Ruleset, Table

CHAINS: Final = {
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
}
"""The chains kube-proxy writes, by table, in written order."""

_BUILT_IN: Final = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}

_JUMPS: Final = (
    ("filter", "INPUT", "kubernetes ipvs access filter", "KUBE-IPVS-FILTER"),
    ("filter", "INPUT", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "INPUT", "kubernetes health check rules", "KUBE-NODE-PORT"),
    ("filter", "FORWARD", "kube-proxy firewall rules", "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", "kubernetes forwarding rules", "KUBE-FORWARD"),
    ("filter", "OUTPUT", "kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER"),
    ("nat", "PREROUTING", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "OUTPUT", "kubernetes service portals", "KUBE-SERVICES"),
    ("nat", "POSTROUTING", "kubernetes postrouting rules", "KUBE-POSTROUTING"),
)
"""Table, built-in chain, comment, target, in the order in which they run."""


class _SetRule(NamedTuple):
    """A rule that follows from a non-empty set: where it is, what it matches, what it says and does."""

    set_name: str
    table: str
    chain: str
    protocol: str
    comment: str
    flags: str
    target: str


_NODE_PORTS: Final = "Kubernetes nodeport {} port"
_LOCAL: Final = "with externalTrafficPolicy=local"
_MASQ: Final = "for masquerade purpose"
_HASHED: Final = "with type 'hash ip:port'"


def _node_port_rules() -> Iterator[_SetRule]:
    for protocol, set_name, suffix, flags in (
        ("tcp", "TCP", "", "dst"),
        ("udp", "UDP", "", "dst"),
        ("sctp", "SCTP-HASH", f" {_HASHED}", "dst,dst"),
    ):
        port = _NODE_PORTS.format(protocol.upper())
        local, masq = f"{port} {_LOCAL}{suffix}", f"{port} {_MASQ}{suffix}"
        yield _SetRule(f"NODE-PORT-LOCAL-{set_name}", "nat", "KUBE-NODE-PORT", protocol, local, flags, "RETURN")
        yield _SetRule(f"NODE-PORT-{set_name}", "nat", "KUBE-NODE-PORT", protocol, masq, flags, "KUBE-MARK-MASQ")


_LB: Final = "Kubernetes service load balancer ip + port"
_SET_RULES: Final = (
    _SetRule(
        "LOOP-BACK",
        "nat",
        "KUBE-POSTROUTING",
        "",
        "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose",
        "dst,dst,src",
        "MASQUERADE",
    ),
    _SetRule(
        "LOAD-BALANCER", "nat", "KUBE-SERVICES", "", "Kubernetes service lb portal", "dst,dst", "KUBE-LOAD-BALANCER"
    ),
    _SetRule("LOAD-BALANCER-LOCAL", "nat", "KUBE-LOAD-BALANCER", "", f"{_LB} {_LOCAL}", "dst,dst", "RETURN"),
    *_node_port_rules(),
    _SetRule(
        "LOAD-BALANCER-FW",
        "filter",
        "KUBE-PROXY-FIREWALL",
        "",
        f"{_LB} for load balancer with sourceRange",
        "dst,dst",
        "KUBE-SOURCE-RANGES-FIREWALL",
    ),
    _SetRule(
        "LOAD-BALANCER-SOURCE-CIDR",
        "filter",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "",
        f"{_LB} + source cidr for packet filter purpose",
        "dst,dst,src",
        "RETURN",
    ),
    _SetRule(
        "LOAD-BALANCER-SOURCE-IP",
        "filter",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "",
        f"{_LB} + source IP for packet filter purpose",
        "dst,dst,src",
        "RETURN",
    ),
)


class Refused(NamedTuple):
    """A load balancer address that the node itself must not use: no source range holds the node's address."""

    address: str
    protocol: str
    port: int


def set_name(family: Family, short: str) -> str:
    """Return a set's full name, cut to what ipset allows (31 characters)."""
    return (("KUBE-" if family == 4 else "KUBE-6-") + short)[:31]


def rows(proxy_input: ProxyInput, filled: frozenset[str], refused: Iterable[Refused]) -> dict[str, list[Row]]:
    """Return the rules by table. `filled` holds the short names of the sets that are not empty."""
    family = proxy_input.family
    lines = {"nat": list(_nat(proxy_input, filled)), "filter": list(_filter(proxy_input, filled, refused))}
    return {table: [fixed(family, table, line) for line in found] for table, found in lines.items()}


def _nat(proxy_input: ProxyInput, filled: frozenset[str]) -> Iterator[str]:
    family = proxy_input.family
    yield f"-A KUBE-SERVICES -s {'127.0.0.0/8' if family == 4 else '::1/128'} -j RETURN"
    yield from _over_sets(family, "nat", filled)
    if "CLUSTER-IP" in filled:
        yield _masquerade_cluster_ips(proxy_input)
    yield from _external_ips(family, filled)
    yield "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT"
    yield "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ"
    for short in ("CLUSTER-IP", "LOAD-BALANCER"):
        if short in filled:
            yield f"-A KUBE-SERVICES {_match(family, short, 'dst,dst')} -j ACCEPT"
    mark = f"{1 << proxy_input.config.masquerade_bit:#010x}"
    yield f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN"
    yield f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}"
    traffic = "kubernetes service traffic requiring SNAT"
    yield f'-A KUBE-POSTROUTING -m comment --comment "{traffic}" -j MASQUERADE --random-fully'
    yield f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}"


def _match(family: Family, short: str, flags: str) -> str:
    return f"-m set --match-set {set_name(family, short)} {flags}"


def _over_sets(family: Family, table: str, filled: frozenset[str]) -> Iterator[str]:
    for rule in _SET_RULES:
        if rule.table == table and rule.set_name in filled:
            protocol = f"-p {rule.protocol} " if rule.protocol else ""
            comment = f'-m comment --comment "{rule.comment}"'
            match = _match(family, rule.set_name, rule.flags)
            yield f"-A {rule.chain} {protocol}{comment} {match} -j {rule.target}"


def _masquerade_cluster_ips(proxy_input: ProxyInput) -> str:
    comment = '-m comment --comment "Kubernetes service cluster ip + port for masquerade purpose"'
    found = None if proxy_input.config.masquerade_all else detector(proxy_input)
    # Without a detector only what the host sends from a bound virtual address is masqueraded.
    flags = "dst,dst" if proxy_input.config.masquerade_all or found else "src,dst"
    foreign = f"{_foreign(found)} " if found else ""
    return f"-A KUBE-SERVICES {comment} {_match(proxy_input.family, 'CLUSTER-IP', flags)} {foreign}-j KUBE-MARK-MASQ"


def _foreign(found: Detector) -> str:
    return f"! -s {found.value}" if found.kind == "source" else f"! -i {found.interface}"


def _external_ips(family: Family, filled: frozenset[str]) -> Iterator[str]:
    for short, purpose in (
        ("EXTERNAL-IP", "for masquerade and filter purpose"),
        ("EXTERNAL-IP-LOCAL", _LOCAL),
    ):
        if short not in filled:
            continue
        comment = f'-m comment --comment "Kubernetes service external ip + port {purpose}"'
        rule = f"-A KUBE-SERVICES {comment} {_match(family, short, 'dst,dst')}"
        if short == "EXTERNAL-IP":
            yield f"{rule} -j KUBE-MARK-MASQ"
        yield f"{rule} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT"
        yield f"{rule} -m addrtype --dst-type LOCAL -j ACCEPT"


def _filter(proxy_input: ProxyInput, filled: frozenset[str], refused: Iterable[Refused]) -> Iterator[str]:
    family = proxy_input.family
    yield from _over_sets(family, "filter", filled)
    yield "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP"
    for address, protocol, port in refused:
        virtual = f"--vaddr {address} --vproto {protocol} --vport {port}"
        yield f"-A KUBE-IPVS-OUT-FILTER -s {address} -m ipvs {virtual} -j DROP"
    mark = f"{1 << proxy_input.config.masquerade_bit:#010x}"
    comment = "-m comment --comment"
    yield f'-A KUBE-FORWARD {comment} "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT'
    established = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield f'-A KUBE-FORWARD {comment} "kubernetes forwarding conntrack rule" {established}'
    health = _match(family, "HEALTH-CHECK-NODE-PORT", "dst")
    yield f'-A KUBE-NODE-PORT {comment} "Kubernetes health check node port" {health} -j ACCEPT'
    for short in ("LOAD-BALANCER", "CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL"):
        yield f"-A KUBE-IPVS-FILTER {_match(family, short, 'dst,dst')} -j RETURN"
    yield f"-A KUBE-IPVS-FILTER {health} -j RETURN"
    bound = _match(family, "IPVS-IPS", "dst")
    yield f"-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW {bound} -j REJECT"


def restore_text(written: dict[str, list[Row]]) -> str:
    """Return the standard input of `iptables-restore`: table nat first."""
    parts: list[str] = []
    for table, names in CHAINS.items():
        parts.append("*" + table)
        parts += [f":{name} - [0:0]" for name in names]
        parts += [row.template.restore.format(*row.args) for row in written[table]]
        parts.append("COMMIT")
    return "\n".join([*parts, ""])


def loaded_ruleset(family: Family, written: dict[str, list[Row]]) -> Ruleset:
    """Return what the kernel holds after the sync: built-in chains with the static jumps, and the written chains."""
    return Ruleset(family, tuple(_loaded(family, table, written[table]) for table in CHAINS))


def _loaded(family: Family, table: str, written: list[Row]) -> Table:
    lines = (*(ChainLine(name, "ACCEPT") for name in _BUILT_IN[table]), *map(ChainLine, CHAINS[table]))
    jumps = [
        fixed(family, table, f'-A {chain} -m comment --comment "{comment}" -j {target}')
        for where, chain, comment, target in _JUMPS
        if where == table
    ]
    return Table(table, lines, (*jumps, *written))
