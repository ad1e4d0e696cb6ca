"""Operations: what has to be done to realise hosts with the kernel, as plain values.

A plan is a tuple of operations in order; executing it is `lab.apply`'s work, printing it `describe`'s (`--dry-run`).
Interface indices are chosen by the plan, so that no operation has to look anything up.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import assert_never

MAIN = 254


@dataclass(frozen=True, slots=True)
class MakeNamespace:
    """A new network namespace, loopback up."""

    namespace: str


@dataclass(frozen=True, slots=True)
class MakeBridge:
    """A bridge, up; a `dummy` where the kernel has them, else a bridge without ports stands for one."""

    namespace: str
    name: str
    index: int
    kind: str = "bridge"


@dataclass(frozen=True, slots=True)
class MakeVeth:
    """A veth pair between two namespaces, both ends up; the first end may be a bridge port with hairpin mode."""

    namespace: str
    name: str
    index: int
    peer_namespace: str
    peer_name: str
    peer_index: int
    master: int = 0
    hairpin: bool = False


@dataclass(frozen=True, slots=True)
class AddAddress:
    """An address with its prefix length; IPv6 without duplicate address detection."""

    namespace: str
    interface: str
    index: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class AddRoute:
    """A route; `via` "" is on link, `kind` unicast or blackhole; `onlink`: no connected subnet holds the gateway."""

    namespace: str
    destination: str
    via: str = ""
    interface: str = ""
    index: int = 0
    kind: str = "unicast"
    onlink: bool = False
    table: int = MAIN


@dataclass(frozen=True, slots=True)
class AddRule:
    """Packets of one family that come in at an interface are looked up in a table first."""

    namespace: str
    family: int
    interface: str
    table: int


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """The reverse of AddRoute."""

    namespace: str
    destination: str
    via: str = ""
    index: int = 0
    table: int = MAIN


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    """The reverse of AddAddress."""

    namespace: str
    interface: str
    index: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """An interface goes, and with a veth its peer."""

    namespace: str
    name: str
    index: int


@dataclass(frozen=True, slots=True)
class DropNamespace:
    """A network namespace goes, with everything in it."""

    namespace: str


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """`net.ipv4.ip_forward` style name and its value."""

    namespace: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class MakeAccounting:
    """An nfacct object, which kube-proxy's rules name."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class LoadRules:
    """Text for the standard input of a program (`iptables-restore --noflush`, `nft -f -`, `ipset restore`, …)."""

    namespace: str
    command: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file of the lab's state folder; path is relative to it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Serve:
    """A server socket of the holder. kind: echo, health, dns. `owner` is what answers name themselves (pod/NS/NAME)."""

    namespace: str
    address: str
    port: int
    protocol: str
    owner: str
    kind: str = "echo"


@dataclass(frozen=True, slots=True)
class StopServe:
    """The reverse of Serve: the socket is closed."""

    namespace: str
    address: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """A program of the lab's own, inside a namespace; {state} in its words becomes the state folder.

    It is up when something listens on address and port (0: at once). `version` changes when its files do.
    """

    namespace: str
    command: tuple[str, ...]
    label: str
    address: str = ""
    port: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class EndSpawn:
    """The reverse of Spawn: the program ends."""

    namespace: str
    label: str


@dataclass(frozen=True, slots=True)
class CleanUdp:
    """Tracked UDP flows to a Service that no serving endpoint answers are forgotten.

    serving: (address, port, endpoints as ip:port); address "" is any.
    """

    namespace: str
    serving: tuple[tuple[str, int, tuple[str, ...]], ...]


Operation = (
    MakeNamespace
    | MakeBridge
    | MakeVeth
    | AddAddress
    | AddRoute
    | AddRule
    | DeleteRoute
    | DeleteAddress
    | DeleteLink
    | DropNamespace
    | SetSysctl
    | MakeAccounting
    | LoadRules
    | WriteFile
    | Serve
    | StopServe
    | Spawn
    | EndSpawn
    | CleanUdp
)


def stage_of(operation: Operation) -> str:
    """Return what a lab that does this is at, for people who wait."""
    match operation:
        case MakeNamespace() | DropNamespace() | SetSysctl():
            return "making namespaces"
        case LoadRules(namespace) | MakeAccounting(namespace) | CleanUdp(namespace):
            return f"loading rules of {namespace}"
        case WriteFile() | Serve() | StopServe() | Spawn() | EndSpawn():
            return "starting servers"
        case _:
            return "wiring"


def describe(operation: Operation) -> str:
    """Return the shell command that would do the same, for people."""
    match operation:
        case MakeNamespace(namespace):
            return f"ip netns add {_q(namespace)}"
        case DropNamespace(namespace):
            return f"ip netns del {_q(namespace)}"
        case LoadRules(namespace, command, text):
            return f"ip netns exec {_q(namespace)} {shlex.join(command)}  # {text.count(chr(10))} lines"
        case WriteFile(path, text):
            return f"write {_q(path)}  # {len(text)} bytes"
        case Serve(namespace, address, port, protocol, owner, kind):
            return f"ip netns exec {_q(namespace)} serve {kind} {address}:{port}/{protocol}  # {owner}"
        case StopServe(namespace, address, port, protocol):
            return f"ip netns exec {_q(namespace)} stop serving {address}:{port}/{protocol}"
        case CleanUdp(namespace, serving):
            return f"ip netns exec {_q(namespace)} conntrack -D -p udp  # stale flows of {len(serving)} ports"
        case EndSpawn(namespace, label):
            return f"ip netns exec {_q(namespace)} end {_q(label)}"
        case Spawn(namespace, command, label):
            return f"ip netns exec {_q(namespace)} {shlex.join(command)}  # {label}"
        case SetSysctl(namespace, name, value):
            return f"ip netns exec {_q(namespace)} sysctl -w {name}={value}"
        case MakeAccounting(namespace, name):
            return f"ip netns exec {_q(namespace)} nfacct add {name}"
        case _:
            return _describe_link(operation)


def _describe_link(
    operation: MakeBridge | MakeVeth | AddAddress | AddRoute | AddRule | DeleteRoute | DeleteAddress | DeleteLink,
) -> str:
    inside = f"ip -n {_q(operation.namespace)}"
    match operation:
        case MakeBridge(_, name, index, kind):
            return f"{inside} link add {name} index {index} up type {kind}"
        case MakeVeth(_, name, index, peer_ns, peer, _, master, hairpin):
            port = f" master {master}" if master else ""
            mode = "; bridge link set hairpin on" if hairpin else ""
            return f"{inside} link add {name} index {index} up{port} type veth peer {peer} netns {_q(peer_ns)}{mode}"
        case AddAddress(_, interface, _, address, prefix):
            return f"{inside} address add {address}/{prefix} dev {interface}"
        case AddRule(_, family, interface, table):
            return f"{inside} -{family} rule add iif {interface} lookup {table}"
        case AddRoute(_, destination, via, interface, _, kind, onlink, table):
            hop = "".join(
                (f" via {via}" if via else "", f" dev {interface}" if interface else "", " onlink" if onlink else "")
            )
            where = "" if table == MAIN else f" table {table}"
            return f"{inside} route add {'' if kind == 'unicast' else kind + ' '}{destination}{hop}{where}"
        case DeleteRoute(_, destination, via, _, table):
            where = "" if table == MAIN else f" table {table}"
            return f"{inside} route del {destination}{f' via {via}' if via else ''}{where}"
        case DeleteAddress(_, interface, _, address, prefix):
            return f"{inside} address del {address}/{prefix} dev {interface}"
        case DeleteLink(_, name, _):
            return f"{inside} link del {name}"
        case _:
            assert_never(operation)


def _q(text: str) -> str:
    return shlex.quote(text)
