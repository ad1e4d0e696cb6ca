"""Listening to the kernel's rule trace in a lab while packets are sent: one process enters every node.

While it listens, each node has one table more, `netsim-trace`, which marks first packets (TCP SYN, every UDP datagram)
before any other rule sees them; it is removed afterwards.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from iptables_gen.values import Family, parse_endpoint, parse_ip
from netsim.errors import LabError
from netsim.lab import kernel, oracle, state
from netsim.lab.apply import run
from netsim.lab.oracle import Event, KernelStep, RuleBook
from netsim.lab.probe import QUESTION, Observation, Probe, Prober, inside
from netsim.lab.ruletexts import Texts, nft_texts, xtables_texts

NETLINK_NETFILTER, TRACE_GROUP = 12, 9
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
NFT_MSG_GETRULE, DUMP, NLMSG_DONE = 0x0A07, 0x301, 3
SO_RCVBUFFORCE, BUFFER = 33, 64 << 20
FIRST = "tcp flags & (syn | ack) == syn meta nftrace set 1; meta l4proto udp meta nftrace set 1;"
MARKING = f"""table inet {oracle.OWN_TABLE} {{
chain pre {{ type filter hook prerouting priority -400; {FIRST} }}
chain out {{ type filter hook output priority -400; {FIRST} }}
}}
"""
FIRST_PORT, PORTS = 10_000, 19_000
Age = tuple[str, str, int, str]


class Traced(NamedTuple):
    """What became of one probe: the observation, the kernel's steps by node in order, and who was remembered before.

    remembered: (node, affinity table, family, client address).
    """

    observation: Observation
    steps: tuple[tuple[str, tuple[KernelStep, ...]], ...]
    remembered: tuple[Age, ...] = ()


def trace_all(lab: state.LabState, probes: Sequence[Probe]) -> tuple[Traced, ...]:
    """Send every probe once and return what rules its first packet met; LabError where the kernel cannot tell."""
    if lab.mode == "ipvs":
        raise LabError("an ipvs lab has no rule trace: iptables-legacy traces to dmesg only")
    nodes = sorted(name for name in lab.namespaces if name.startswith("node/"))
    names = {*nodes, *(probe.namespace for probe in probes)}
    first = time.monotonic_ns() // 1_000_000
    marked = tuple(recognisable(replace(probe, sport=port_of(first + n)), n) for n, probe in enumerate(probes))
    found = inside(lab, names, lambda spaces: [_plain(item) for item in _work(spaces, nodes, marked)])
    return tuple(_traced(item) for item in found)


def port_of(number: int) -> int:
    """Return a client port outside the kernel's own choice, so that none is used twice in a row.

    To a port that dialled the same address before, the connection is not new: NAT's chains would not see its packet.
    """
    return FIRST_PORT + number % PORTS


def recognisable(probe: Probe, number: int) -> Probe:
    """Return a probe whose UDP payload begins like no other's: an echo's question, or a DNS query (its ID)."""
    if probe.protocol != "udp":
        return probe
    dns = (number & 0xFFFF).to_bytes(2, "big") + probe.question[2:]
    return replace(probe, question=dns if probe.question != QUESTION else b"?%010d\n" % number)


def _plain(item: Traced) -> dict[str, Any]:
    return {"observation": asdict(item.observation), "steps": item.steps, "remembered": item.remembered}


def _traced(item: Mapping[str, Any]) -> Traced:
    steps = tuple((node, tuple(KernelStep(*step) for step in listed)) for node, listed in item["steps"])
    return Traced(Observation(**item["observation"]), steps, tuple(tuple(age) for age in item["remembered"]))


def _work(spaces: Mapping[str, int], nodes: Sequence[str], probes: Sequence[Probe]) -> Iterator[Traced]:
    books = {node: _book(spaces[node], node) for node in nodes}
    with _marked(spaces, nodes), _listening(spaces, nodes) as ears:
        for crowd in _crowds(probes):
            remembered = (
                tuple(age for node in nodes for age in _remembered(spaces[node], node)) if crowd[0].sequence else ()
            )
            observations = Prober(dict(spaces)).run(crowd)
            heard = {node: oracle.runs(_heard(ear)) for node, ear in ears.items()}
            for probe, observation in zip(crowd, observations, strict=True):
                yield Traced(observation, _steps(probe, observation, heard, books), remembered)


def _crowds(probes: Sequence[Probe], most: int = 60) -> Iterator[Sequence[Probe]]:
    """Yield probes in order, those of sticky Services one at a time: each may leave an affinity to the next."""
    crowd: list[Probe] = []
    for probe in probes:
        if crowd and (len(crowd) == most or probe.sequence or crowd[-1].sequence):
            yield crowd
            crowd = []
        crowd.append(probe)
    if crowd:
        yield crowd


def _steps(
    probe: Probe, observation: Observation, heard: Mapping[str, list[oracle.Run]], books: Mapping[str, RuleBook]
) -> tuple[tuple[str, tuple[KernelStep, ...]], ...]:
    if not observation.client:
        return ()
    address, port = parse_endpoint(observation.client)
    family, value = parse_ip(address)
    source = value.to_bytes(4 if family == 4 else 16, "big")
    protocol = oracle.TCP if probe.protocol == "tcp" else oracle.UDP
    tokens = (oracle.token_of(listed, protocol, source, port) for listed in heard.values())
    token = next((item for item in tokens if item is not None), None)
    if token is None:
        return ()
    found = ((node, oracle.steps(listed, token, books[node])) for node, listed in heard.items())
    return tuple((node, listed) for node, listed in found if listed)


@contextmanager
def _marked(spaces: Mapping[str, int], nodes: Iterable[str]) -> Iterator[None]:
    listed = tuple(nodes)
    done: list[str] = []
    try:
        for node in listed:
            kernel.enter(spaces[node])
            run(("nft", "-f", "-"), MARKING, node)
            done.append(node)
        yield
    finally:
        for node in done:
            kernel.enter(spaces[node])
            run(("nft", "-f", "-"), f"delete table inet {oracle.OWN_TABLE}\n", node)


@contextmanager
def _listening(spaces: Mapping[str, int], nodes: Iterable[str]) -> Iterator[dict[str, socket.socket]]:
    ears: dict[str, socket.socket] = {}
    try:
        for node in nodes:
            kernel.enter(spaces[node])
            ear = ears[node] = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
            )
            ear.bind((0, 0))
            try:
                ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
            except PermissionError:
                # In a user namespace the host's limit holds.
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            ear.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, TRACE_GROUP)
            ear.setblocking(False)
        yield ears
    finally:
        for ear in ears.values():
            ear.close()


def _heard(ear: socket.socket) -> Iterator[Event]:
    while True:
        try:
            data = ear.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            raise LabError(f"the kernel traced more than could be read: {error}") from error
        for kind, payload in oracle.messages(data):
            event = oracle.event_of(payload) if kind == oracle.NFT_MSG_TRACE else None
            if event is not None:
                yield event


def _book(space: int, node: str) -> RuleBook:
    kernel.enter(space)
    handles = list(_handles())
    tables = {(family, table) for family, table, _, _ in handles}
    texts: Texts = {}
    families: tuple[tuple[Family, str], ...] = ((4, "iptables-save"), (6, "ip6tables-save"))
    for family, tool in families:
        if any(f == family and table in oracle.XTABLES for f, table in tables):
            texts.update(xtables_texts(run((tool,), "", node), family))
    for family, table in sorted(tables):
        if table not in oracle.XTABLES:
            texts.update(nft_texts(run(("nft", "list", "table", "ip" if family == 4 else "ip6", table), "", node)))
    return oracle.book_of(handles, texts)


def _handles() -> Iterator[tuple[Family, str, str, int]]:
    """Yield every rule of the current namespace in the kernel's order: a dump of NFT_MSG_GETRULE."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as channel:
        channel.bind((0, 0))
        for family in oracle.FAMILIES:
            channel.send(struct.pack("=IHHIIBBH", 20, NFT_MSG_GETRULE, DUMP, 1, 0, family, 0, 0))
            done = False
            while not done:
                for kind, payload in oracle.messages(channel.recv(1 << 17)):
                    done = done or kind in (NLMSG_DONE, 2)
                    found = oracle.handle_of(payload) if kind == oracle.NFT_MSG_NEWRULE else None
                    if found is not None:
                        yield found


RECENT = re.compile(r"^/proc/net/xt_recent/([^:]+):src=(\S+)", re.MULTILINE)
NFT_SET = re.compile(r"\tset (affinity-\S+) \{.*?\n\t\}", re.DOTALL)
ELEMENT = re.compile(r"([0-9a-f.:]+) (?:timeout \S+ )?expires")
SHOW_RECENT = ("sh", "-c", "grep -H ^src= /proc/net/xt_recent/* 2>/dev/null || true")


def _remembered(space: int, node: str) -> Iterator[Age]:
    """Yield the clients that a node's affinity tables hold now: xt_recent's files, nftables' affinity sets."""
    kernel.enter(space)
    name = node.removeprefix("node/")
    yield from ((name, table, parse_ip(ip)[0], ip) for table, ip in RECENT.findall(run(SHOW_RECENT, "", node)))
    for family in ("ip", "ip6"):
        for found in NFT_SET.finditer(run(("nft", "list", "sets", family), "", node)):
            yield from ((name, found[1], parse_ip(ip)[0], ip) for ip in ELEMENT.findall(found[0]))
