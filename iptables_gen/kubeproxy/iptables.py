"""kube-proxy's iptables mode: a ProxyInput becomes the rules of one family on one node.

The rules are made once, as rows; the restore input of a full sync, the whole saved ruleset and the model that traces
packets are three views of the same rows. Source: observed on kube-proxy v1.36.2 with iptables 1.8.9 (nft variant).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from iptables_gen.kubeproxy import iptables_chains as chains
from iptables_gen.kubeproxy import iptables_dispatch as dispatch
from iptables_gen.kubeproxy import iptables_static as static
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.iptables_port import Port, port_of, settings_of
from iptables_gen.kubeproxy.versions import DEFAULT, Version
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Row


@dataclass(frozen=True, slots=True)
class Sheet:
    """The restore input of one full sync: chain names and rows of both tables, in written order."""

    family: Family
    filter_chains: tuple[str, ...]
    filter_rows: Sequence[Row]
    nat_chains: Sequence[str]
    nat_rows: Sequence[Row]

    @property
    def blocks(self) -> tuple[tuple[str, Sequence[str], Sequence[Row]], ...]:
        """Return (table, chains, rows) in written order."""
        return ("filter", self.filter_chains, self.filter_rows), ("nat", self.nat_chains, self.nat_rows)


@dataclass(slots=True)
class _Pages:
    """What has been written so far, for the loop over service ports."""

    filter_rows: list[Row] = field(default_factory=list)
    nat_chains: list[str] = field(default_factory=list)
    nat_rows: list[Row] = field(default_factory=list)


def sheet(proxy_input: ProxyInput, version: Version = DEFAULT) -> Sheet:
    """Return what kube-proxy writes in its first full sync; raise CompileError for a name that no rule can hold."""
    settings = settings_of(proxy_input, version)
    pages = _Pages()
    for service in proxy_input.services:
        _write_port(pages, port_of(service, settings))
    return Sheet(
        settings.family,
        static.filter_chains(settings),
        [*static.localnet_guard(settings), *pages.filter_rows, *static.forward(settings)],
        [*static.NAT_CHAINS, *pages.nat_chains],
        [*static.masquerading(settings), *pages.nat_rows, *static.node_port_jumps(settings)],
    )


def _write_port(pages: _Pages, port: Port) -> None:
    named = chains.named_endpoints(port)
    pages.filter_rows += _filter_rows(port)
    pages.nat_chains += _chain_names(port)
    pages.nat_chains += [chain for _, _, chain, _ in named]
    pages.nat_rows += _nat_rows(port)
    serving = port.decision.serving
    if port.uses_cluster:
        pages.nat_rows += chains.policy_chain(port, port.cluster_chain, serving.cluster, named)
    if port.uses_local:
        pages.nat_rows += chains.policy_chain(port, port.local_chain, serving.local, named)
    pages.nat_rows += chains.endpoint_chains(port, named)


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


def _chain_names(port: Port) -> Iterator[str]:
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
