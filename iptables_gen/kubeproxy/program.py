"""One door to the three modes: a ProxyInput in, the mode's program out; a mode's module is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, assert_never

from iptables_gen.dataplane import Dataplane
from iptables_gen.effects import RuleRef
from iptables_gen.kubeproxy.inputs import ProxyInput


class Program(Dataplane, Protocol):
    """What kube-proxy programs for one family on one node."""

    def rules(self) -> Mapping[str, Mapping[str, Sequence[RuleRef]]]:
        """Return every rule by table and chain (sets and maps of nft count as chains of elements), in print order."""


def program(proxy_input: ProxyInput) -> Program:
    """Return what kube-proxy programs for one family on one node; raise CompileError when no rule can be made."""
    _check_values(proxy_input)
    mode = proxy_input.config.mode
    match mode:
        case "iptables":
            from iptables_gen.kubeproxy import iptables_program

            return iptables_program.compile_input(proxy_input)
        case "nftables":
            from iptables_gen.kubeproxy import nftables

            return nftables.compile_input(proxy_input)
        case "ipvs":
            from iptables_gen.kubeproxy import ipvs

            return ipvs.compile_input(proxy_input)
        case _:
            assert_never(mode)


PROTOCOLS = frozenset(("tcp", "udp", "sctp"))
"""Protocols that Services have: other words make rules that no kernel loads."""


def _check_values(proxy_input: ProxyInput) -> None:
    for service in proxy_input.services:
        if service.affinity_seconds is not None and service.affinity_seconds < 1:
            field = "sessionAffinityConfig.clientIP.timeoutSeconds"
            raise service.refuse(field, f"{service.affinity_seconds}: no rule can remember clients for less than 1 s")
        if (":" in service.cluster_ip) != (proxy_input.family == 6):
            raise service.refuse("clusterIP", f"{service.cluster_ip} is no IPv{proxy_input.family} address")
        if service.protocol not in PROTOCOLS:
            raise service.refuse("ports[].protocol", f"{service.protocol!r} is none of TCP, UDP and SCTP")
