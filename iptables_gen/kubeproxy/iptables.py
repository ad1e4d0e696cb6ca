"""kube-proxy's iptables mode: a ProxyInput becomes the rules of one family on one node.

The rules are made once, as rows; the restore input of a full sync, the whole saved ruleset and the model that traces
packets are three views of the same rows. Source: observed on kube-proxy v1.36.2 with iptables 1.8.9 (nft variant).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from iptables_gen.kubeproxy import iptables_chains as chains
from iptables_gen.kubeproxy import iptables_dispatch as dispatch
from iptables_gen.kubeproxy import iptables_static as static
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.iptables_port import Port, Settings, port_of, settings_of
from iptables_gen.kubeproxy.versions import DEFAULT, Version
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Row


@dataclass(frozen=True, slots=True)
class Sheet:
    """The restore input of one full sync.

    Rows are made while they are read, each time anew (a large cluster has hundreds of thousands). Chain names and rows
    of both tables come in written order.
    """

    settings: Settings
    ports: tuple[Port, ...]

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self.settings.family

    @property
    def blocks(self) -> tuple[tuple[str, Iterable[str], Iterable[Row]], ...]:
        """Return (table, chains, rows) of each table."""
        return ("filter", static.filter_chains(self.settings), self.filter_rows()), (
            "nat",
            self.nat_chains(),
            self.nat_rows(),
        )

    def filter_rows(self) -> Iterator[Row]:
        """Yield the rows of table filter."""
        yield from static.localnet_guard(self.settings)
        for port in self.ports:
            yield from _filter_rows(port)
        yield from static.forward(self.settings)

    def nat_chains(self) -> Iterator[str]:
        """Yield the chains of table nat."""
        yield from static.NAT_CHAINS
        for port in self.ports:
            yield from _own_chains(port)
            yield from [chain for _, _, chain in port.named]

    def nat_rows(self) -> Iterator[Row]:
        """Yield the rows of table nat."""
        yield from static.masquerading(self.settings)
        for port in self.ports:
            yield from _nat_rows(port)
        yield from static.node_port_jumps(self.settings)


def sheet(proxy_input: ProxyInput, version: Version = DEFAULT) -> Sheet:
    """Return what kube-proxy writes in its first full sync; raise CompileError for a name that no rule can hold."""
    settings = settings_of(proxy_input, version)
    return Sheet(settings, tuple([port_of(service, settings) for service in proxy_input.services]))


def _filter_rows(port: Port) -> Iterator[Row]:
    yield from dispatch.refuse_internal(port)
    if port.decision.accessible:
        yield from dispatch.refuse_external_ips(port)
        yield from dispatch.not_accepted(port)
        yield from dispatch.refuse_vips(port)
        yield from dispatch.refuse_node_port(port)
    yield from dispatch.health_check(port)


def _nat_rows(port: Port) -> Iterator[Row]:
    yield from dispatch.cluster_ip(port)
    if port.decision.accessible:
        yield from dispatch.external_ips(port)
        yield from dispatch.vips(port)
        yield from dispatch.node_port(port)
    yield from chains.masquerade_cluster_ip(port)
    yield from chains.external(port)
    yield from chains.firewall(port)
    if port.uses_cluster:
        yield from chains.policy_chain(port, port.cluster_chain, port.decision.serving.cluster)
    if port.uses_local:
        yield from chains.policy_chain(port, port.local_chain, port.decision.serving.local)
    yield from chains.endpoint_chains(port)


def _own_chains(port: Port) -> Iterator[str]:
    if port.uses_external:
        yield port.external_chain
    if port.uses_firewall:
        yield port.firewall_chain
    if port.uses_cluster:
        yield port.cluster_chain
    if port.uses_local:
        yield port.local_chain


def restore_text(written: Sheet) -> str:
    """Return the standard input of `iptables-restore -w 5 --noflush --counters`."""
    parts: list[str] = []
    for table, names, rows in written.blocks:
        parts.append("*" + table)
        parts += [f":{name} - [0:0]" for name in names]
        parts += [template.restore.format(*args) for template, args, _ in rows]
        parts.append("COMMIT")
    parts.append("")
    return "\n".join(parts)
