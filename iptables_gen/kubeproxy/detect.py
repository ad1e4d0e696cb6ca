"""What tells traffic of the node's own pods from the rest: kube-proxy's local traffic detector.

Source: kube-proxy --detect-local-mode; KEP-2450; observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from iptables_gen.errors import CompileError
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.values import Family, format_ip, parse_net

_INTERFACE = re.compile(r"[^\s/\"'\\\x00-\x20\x7f]{1,15}")
"""Names that the kernel takes (dev_valid_name) and that no rule language could misread."""

MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
"""Values of --detect-local-mode."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Local traffic comes from a source network (canonical CIDR), an interface, or interfaces with a name prefix."""

    kind: Literal["source", "interface", "prefix"]
    value: str

    @property
    def interface(self) -> str:
        """Return the interface as iptables spells it: a prefix ends in `+`."""
        return self.value + "+" if self.kind == "prefix" else self.value


def detector(proxy_input: ProxyInput) -> Detector | None:
    """Return the detector of this family, None when the settings name nothing to detect with.

    Raises:  CompileError for an interface name that is none.
    """
    config = proxy_input.config
    match config.detect_local_mode:
        case "BridgeInterface":
            return _by_interface("interface", config.bridge_interface)
        case "InterfaceNamePrefix":
            return _by_interface("prefix", config.interface_name_prefix)
        case "NodeCIDR":
            return _by_source(proxy_input.node.pod_cidrs, proxy_input.family)
        case _:
            return _by_source(config.cluster_cidrs, proxy_input.family)


def _by_interface(kind: Literal["interface", "prefix"], name: str) -> Detector | None:
    if name and not _INTERFACE.fullmatch(name):
        raise CompileError(f"{name!r} is not an interface name")
    return Detector(kind, name) if name else None


def _by_source(cidrs: Iterable[str], family: Family) -> Detector | None:
    network = next(iter(networks_of(cidrs, family)), None)
    return Detector("source", network) if network else None


def networks_of(cidrs: Iterable[str], family: Family) -> tuple[str, ...]:
    """Return the networks of one family, masked and canonical, in the given order."""
    parsed = [parse_net(cidr.strip()) for cidr in cidrs]
    return tuple(f"{format_ip(family, base)}/{prefix}" for found, base, prefix in parsed if found == family)
