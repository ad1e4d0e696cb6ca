"""Which rule programs run on a node: kube-proxy's in its mode, the CNI's, or those of a real node's dump."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from iptables_gen.dataplane import Dataplane, HookEntry
from iptables_gen.effects import RuleRef
from iptables_gen.kubeproxy.inputs import ProxyConfig
from iptables_gen.values import BITS, Family, in_net, parse_ip, parse_net
from iptables_gen.xtables.ir import Ruleset
from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.hosts.cni import CniSettings, masquerade_text
from netsim.hosts.dump_parts import Dump
from netsim.hosts.dumps import dump_program, dump_programs, has_proxy_rules
from netsim.hosts.layout import FAMILIES
from netsim.hosts.model import Address, LabelledDataplane
from netsim.hosts.network import NodePrograms

LOOPBACK_NET = parse_net("127.0.0.0/8")


class LazyDataplane:
    """A Dataplane that is made when it is first asked: a trace of one family never compiles the other."""

    __slots__ = ("_family", "_load", "_program")

    def __init__(self, family: Family, load: Callable[[], Dataplane]) -> None:
        self._family = family
        self._load = load
        self._program: Dataplane | None = None

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self._family

    @property
    def program(self) -> Dataplane:
        """Return the program itself."""
        if self._program is None:
            self._program = self._load()
        return self._program

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the base chains."""
        return self.program.hooks()

    def render(self) -> Mapping[str, str]:
        """Return the texts by file name."""
        return self.program.render()

    def explain(self, name: str) -> tuple[RuleRef, ...]:
        """Return the rules behind a name."""
        return self.program.explain(name)


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Makes the programs of any node. `dumps`: rulesets of real nodes, in place of or beside the compiled ones."""

    cluster: Cluster
    config: ProxyConfig
    cni: CniSettings
    dumps: Mapping[str, Mapping[Family, Ruleset | Dump]]

    def __call__(self, node: str) -> NodePrograms:
        """Return what is loaded on a node."""
        return NodePrograms(tuple(self._programs(node)), self._sysctls(), self._bound(node))

    def _programs(self, node: str) -> Iterator[LabelledDataplane]:
        for family in FAMILIES:
            dump = self.dumps.get(node, {}).get(family)
            compiled = self._compiler(node, family)
            if dump is None or not has_proxy_rules(dump):
                yield LabelledDataplane("kube-proxy", LazyDataplane(family, compiled))
            if dump is None:
                yield from self._cni(node, family)
            else:
                yield from self._dumped(dump, family, compiled)

    @staticmethod
    def _dumped(dump: Ruleset | Dump, family: Family, compiled: Callable[[], Dataplane]) -> Iterator[LabelledDataplane]:
        if isinstance(dump, Ruleset):
            yield LabelledDataplane("dump", LazyDataplane(family, partial(dump_program, dump, compiled)))
        else:
            yield from (LabelledDataplane("dump", program) for program in dump_programs(dump, compiled))

    def _compiler(self, node: str, family: Family) -> Callable[[], Dataplane]:
        def compile_now() -> Dataplane:
            from iptables_gen.errors import CompileError
            from iptables_gen.kubeproxy.program import program
            from netsim.cluster.proxy import proxy_input

            try:
                return program(proxy_input(self.cluster, node, family, self.config))
            except CompileError as error:
                raise UsageError(str(error)) from error

        return compile_now

    def _cni(self, node: str, family: Family) -> Iterator[LabelledDataplane]:
        found = self.cluster.node(node)
        text = masquerade_text(self.cni, family, found.pod_cidrs if found else ())
        if text:
            yield LabelledDataplane("cni", LazyDataplane(family, lambda: ruleset_program(text, "cni", family)))

    def _sysctls(self) -> Mapping[str, str]:
        """Return what kube-proxy sets: route_localnet for nodePorts on 127.0.0.1, IPVS' connection tracking."""
        config = self.config
        if config.mode == "iptables" and localhost_node_ports(config):
            return {"net.ipv4.conf.all.route_localnet": "1"}
        if config.mode == "ipvs":
            return {"net.ipv4.vs.conntrack": "1"}
        return {}

    def _bound(self, node: str) -> tuple[Address, ...]:
        """Return the addresses on kube-ipvs0."""
        found = [parse_ip(text) for family in FAMILIES for text in self._bound_texts(node, family)]
        return tuple(Address(family, value, BITS[family]) for family, value in dict.fromkeys(found))

    def _bound_texts(self, node: str, family: Family) -> tuple[str, ...]:
        dump = self.dumps.get(node, {}).get(family)
        if isinstance(dump, Dump) and dump.servers:
            return dump.bound
        if self.config.mode != "ipvs" or (dump is not None and has_proxy_rules(dump)):
            return ()
        from iptables_gen.ipvs.dataplane import bound_addresses

        return bound_addresses(self._compiler(node, family)())


def localhost_node_ports(config: ProxyConfig) -> bool:
    """Whether nodePorts answer on 127.0.0.1: asked for, and not excluded by --nodeport-addresses."""
    if not config.localhost_node_ports:
        return False
    networks = [parse_net(cidr) for cidr in config.node_port_addresses if cidr != "primary"]
    ours = [(network, prefix) for family, network, prefix in networks if family == 4]
    return not config.node_port_addresses or any(_covers_loopback(*item) for item in ours)


def _covers_loopback(network: int, prefix: int) -> bool:
    return in_net(LOOPBACK_NET[1], network, prefix, 4) or in_net(network, LOOPBACK_NET[1], 8, 4)


def ruleset_program(text: str, file: str, family: Family) -> Dataplane:
    """Return the program of an `iptables-save` text; raise RulesetSyntaxError for text that is none."""
    from iptables_gen.xtables.evaluate import XtablesDataplane
    from iptables_gen.xtables.text import parse

    return XtablesDataplane(parse(text, file, family))
