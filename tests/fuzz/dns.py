"""Mutated packets against the DNS server's one entry point: `python -m tests.fuzz.dns --packets 1000000 --seed 1`.

Every reply must keep the laws of `check`; any exception is a failure. The suite runs a bounded sample.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.wire

from netsim.cluster.model import Cluster, EndpointSlice, Service, ServicePort, SliceEndpoint, SlicePort
from netsim.dns.forward import Upstream
from netsim.dns.open import ClusterDns, DnsOptions, open_dns
from netsim.dns.records import Record
from netsim.dns.serve import respond

COREFILE = """.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    cache 30
    forward . 192.0.2.53
    loadbalance
}
"""
NAMES = (
    "web.default.svc.cluster.local.", "db.default.svc.cluster.local.", "_http._tcp.web.default.svc.cluster.local.",
    "big.default.svc.cluster.local.", "ext.default.svc.cluster.local.", "10-0-0-1.default.pod.cluster.local.",
    "1.0.96.10.in-addr.arpa.", "cluster.local.", ".", "example.com.", "WEB.default.SVC.cluster.local.", "a.b.c.",
    "dns-version.cluster.local.", "missing.default.svc.cluster.local.", "x" * 63 + "." + "y" * 63 + ".",
)  # fmt: skip
TYPES = ("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "NS", "SOA", "MX", "ANY", "HTTPS", "DS", "AXFR", "NAPTR")
EMPTY_HEADER = 12
UNCHECKED_RCODES = frozenset((1, 4))


def cluster() -> Cluster:
    """Return a small cluster with every kind of Service, one of them too big for a UDP reply."""
    services = (
        Service("default", "web", cluster_ips=("10.96.0.1",), ports=(ServicePort("http", 80), ServicePort("", 443))),
        Service("default", "db", cluster_ips=("None",), ports=(ServicePort("pg", 5432),)),
        Service("default", "big", cluster_ips=("None",), ports=(ServicePort("http", 80),)),
        Service("default", "ext", type="ExternalName", external_name="example.com"),
        Service("default", "bad", type="ExternalName", external_name="a..b"),
    )
    slices = tuple(
        EndpointSlice(
            "default", f"{name}-1", name, "IPv4",
            ports=(SlicePort("http", 8080),),
            endpoints=tuple(SliceEndpoint((f"10.244.{part}.{number}",)) for number in range(1, count)),
        )
        for part, (name, count) in enumerate((("web", 3), ("db", 4), ("big", 250)))
    )  # fmt: skip
    return Cluster(services=services, slices=slices, namespaces={"default": {}})


def target() -> ClusterDns:
    """Return the DNS under test."""
    record = Record("example.com.", 300, "A", "93.184.216.34")
    upstream = Upstream({"example.com.": (record, Record("example.com.", 60, "TXT", '"v=spf1 -all"'))})
    return open_dns(cluster(), DnsOptions(COREFILE, upstream=upstream))


def seeds(rng: random.Random) -> list[bytes]:
    """Return well-formed requests of every shape the mutations start from."""
    found = []
    for name in NAMES:
        for kind in TYPES:
            message = dns.message.make_query(name, kind, rdclass=rng.choice(("IN", "IN", "CH")))
            if rng.random() < 0.5:
                options = [dns.edns.GenericOption(rng.choice((3, 8, 10, 12, 65001)), rng.randbytes(rng.randrange(9)))]
                message.use_edns(
                    rng.choice((0, 0, 1)), rng.choice((0, 1 << 15)), rng.choice((0, 512, 1232, 65535)), options=options
                )
            if rng.random() < 0.1:
                message.set_opcode(rng.choice((dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS)))
            message.flags = rng.choice((0, 0x0100, 0x0110, 0x0120, 0x8100, 0x0200))
            found.append(message.to_wire())
    return found


def mutate(packet: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Return a packet with a few bytes changed, cut, repeated or spliced, or with pointers and counts bent."""
    data = bytearray(packet)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at % len(data)] = rng.choice((0, 1, 0x3F, 0x40, 0xC0, 0xFF))
            case 2:
                del data[at:]
            case 3:
                data[at:at] = rng.randbytes(rng.randrange(1, 8))
            case 4:
                data[at:at] = data[max(0, at - rng.randrange(1, 20)) : at]
            case 5 if len(data) > EMPTY_HEADER:
                place = rng.randrange(EMPTY_HEADER, len(data))
                data[place : place + 2] = struct.pack("!H", 0xC000 | rng.randrange(0x4000))
            case 6 if len(data) >= EMPTY_HEADER:
                struct.pack_into("!H", data, rng.choice((4, 6, 8, 10)), rng.choice((0, 1, 2, 3, 255, 65535)))
            case 7:
                other = rng.choice(others)
                data[at:] = other[rng.randrange(len(other)) :]
            case _:
                data += rng.randbytes(rng.randrange(1, 600))
    return bytes(data)


def packets(count: int, seed: int) -> Iterator[bytes]:
    """Yield mutated packets; the same seed yields the same ones."""
    rng = random.Random(seed)
    starts = seeds(rng)
    for _ in range(count):
        yield mutate(rng.choice(starts), rng, starts)


def check(packet: bytes, reply: bytes | None, transport: str) -> None:
    """Raise AssertionError unless the reply keeps the laws of any DNS server."""
    if reply is None:
        return
    assert len(packet) >= EMPTY_HEADER, "answered less than a header"
    number, bits, *_ = struct.unpack_from("!6H", reply)
    assert number == struct.unpack_from("!H", packet)[0], "another message's id"
    assert bits & dns.flags.QR, "a reply that says it is a question"
    assert not packet[2] & 0x80, "answered a reply"
    assert len(reply) <= 65535
    if bits & 0xF not in UNCHECKED_RCODES and len(reply) > EMPTY_HEADER:
        payload, has_options = walk(reply)
        assert transport == "tcp" or len(reply) <= max(512, payload), "more than the client takes"
        if not has_options:
            dns.message.from_wire(reply)


def walk(reply: bytes) -> tuple[int, bool]:
    """Read every record of a reply and return its OPT record's payload size (0: none) and whether it has options."""
    parser = dns.wire.Parser(reply)
    _, _, questions, *counts = parser.get_struct("!6H")
    assert questions == 1
    dns.name.from_wire_parser(parser)
    parser.get_bytes(4)
    payload, has_options = 0, False
    for _ in range(sum(counts)):
        dns.name.from_wire_parser(parser)
        kind, qclass, _, length = parser.get_struct("!HHIH")
        parser.get_bytes(length)
        if kind == 41:
            payload, has_options = qclass, length > 0
    assert parser.remaining() == 0, "bytes after the last record"
    return payload, has_options


def run(count: int, seed: int) -> int:
    """Send *count* packets, a tenth of them over TCP, and return how many were answered."""
    under_test, answered = target(), 0
    for index, packet in enumerate(packets(count, seed)):
        transport = "udp" if index % 10 else "tcp"
        try:
            reply = respond(packet, transport, "10.244.9.9", under_test, index / 1000)
            check(packet, reply, transport)
        except Exception:
            print(f"packet {index} of seed {seed}: {packet.hex()}", file=sys.stderr)
            raise
        answered += reply is not None
    return answered


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.process_time()
    answered = run(given.packets, given.seed)
    seconds = time.process_time() - start
    print(f"{given.packets} packets, {answered} answered, {seconds:.0f} s of CPU, no law broken")


if __name__ == "__main__":
    main()
