"""One door to the three modes: a ProxyInput in, the mode's Dataplane out; a mode's module is imported when it is used."""

from __future__ import annotations

from typing import assert_never

from iptables_gen.dataplane import Dataplane
from iptables_gen.kubeproxy.inputs import ProxyInput



def program(proxy_input: ProxyInput) -> Dataplane:
    """Return what kube-proxy programs for one family on one node; raise CompileError when no rule can be made."""
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
