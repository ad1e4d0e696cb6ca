"""musl's getaddrinfo and getnameinfo: all nameservers at once, no TCP, NODATA ends the search. Observed on 1.2.3."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.dns.names import fqdn, packable, parse_ip, reverse_name
from netsim.dns.stub.conf import HostsLine, ResolvConf
from netsim.dns.stub.glibc import _literal
from netsim.dns.stub.wire import Api, Found, Reply, Wire, addresses_of, canonical_of, ordered

NO_NAME, AGAIN, FAIL = "-2 Name does not resolve", "-3 Try again", "-4 Non-recoverable error"
MAX_ADDRESSES = 48


@dataclass(frozen=True, slots=True)
class Musl:
    """One process: its resolv.conf, hosts file and the pod's own addresses."""

    conf: ResolvConf
    hosts: tuple[HostsLine, ...]
    wire: Wire
    client_ips: tuple[str, ...]

    def lookup(self, name: str, api: Api) -> Found:
        """Return what the call yields, packets included."""
        found = self._name_of(name) if api == "nameinfo" else self._addresses(name, _types(api))
        return Found(found.addresses, found.error, found.name, found.aliases, tuple(self.wire.sent))

    def _addresses(self, name: str, types: tuple[str, ...]) -> Found:
        if not 0 < len(name) < 255:
            return Found(error=NO_NAME)
        literal = _literal(name)
        if literal:
            return (
                Found((literal,), name=name) if ("AAAA" if ":" in literal else "A") in types else Found(error=NO_NAME)
            )
        local = self._files(name, types)
        found = local if local.addresses else self._search(name, types)
        return Found(ordered(found.addresses, self.client_ips)[:MAX_ADDRESSES], found.error, found.name)

    def _files(self, name: str, types: tuple[str, ...]) -> Found:
        lines = [
            line for line in self.hosts if name in line.names and ("AAAA" if ":" in line.address else "A") in types
        ]
        return Found(tuple(line.address for line in lines), name=lines[0].names[0] if lines else "")

    def _search(self, name: str, types: tuple[str, ...]) -> Found:
        rooted = name.endswith(".")
        base = name.removesuffix(".")
        if not base or base.endswith("."):
            return Found(error=NO_NAME)
        for domain in () if rooted or name.count(".") >= self.conf.ndots else self.conf.search:
            if domain == ".":
                # The name it makes ends in two dots: what goes out is no DNS message, and nobody answers it.
                return Found(error=AGAIN)
            found = self._ask(f"{base}.{domain}", types)
            if found is not None:
                return found
        return self._ask(base, types) or Found(error=NO_NAME)

    def _ask(self, name: str, types: tuple[str, ...]) -> Found | None:
        """Return what a name gives; None for NXDOMAIN, the only result that lets the search go on."""
        asked = fqdn(name)
        if not packable(asked):
            return Found(error=NO_NAME)
        replies = Exchange(self.conf, self.wire, asked, types).run()
        addresses = tuple(
            ip for kind, reply in zip(types, replies, strict=True) if reply for ip in addresses_of(reply.answer, kind)
        )
        if addresses:
            with_data = next(reply for reply in replies if reply and reply.answer)
            owner = with_data.answer[-1].name
            return Found(addresses, name=name if fqdn(owner) == asked else canonical_of(with_data.answer, name))
        first = replies[0]
        if first is None:
            return Found(error=AGAIN)
        return None if first.rcode == "NXDOMAIN" else Found(error=NO_NAME)

    def _name_of(self, address: str) -> Found:
        for line in self.hosts:
            if line.address == parse_ip(address):
                return Found(name=line.names[0])
        reply = Exchange(self.conf, self.wire, reverse_name(address), ("PTR",)).run()[0]
        targets = [record.rdata for record in reply.answer if record.type == "PTR"] if reply else []
        return Found(name=targets[0].removesuffix(".")) if targets else Found(error=NO_NAME)


def _types(api: Api) -> tuple[str, ...]:
    return {"inet": ("A",), "ghbn": ("A",), "inet6": ("AAAA",), "ghbn2_6": ("AAAA",)}.get(api, ("A", "AAAA"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One round of questions (__res_msend): each to all servers; the first usable answer to each counts."""

    conf: ResolvConf
    wire: Wire
    name: str
    types: tuple[str, ...]

    def run(self) -> list[Reply | None]:
        """Return the reply to each type, None where no server gave a usable one."""
        sock = self.wire.socket()
        replies: list[Reply | None] = [None] * len(self.types)
        for attempt in range(self.conf.attempts):
            wait = 1000 * self.conf.timeout // self.conf.attempts if attempt else 0
            self._round(sock, replies, wait)
            if all(replies):
                break
        return replies

    def _round(self, sock: str, replies: list[Reply | None], wait: int) -> None:
        retries = 2 * len(self.types)
        pending: list[tuple[int, str]] = [
            (index, server)
            for index in range(len(self.types))
            if replies[index] is None
            for server in self.conf.nameservers
        ]
        nearest: dict[int, list[tuple[int, Reply]]] = {}
        while pending:
            again: list[tuple[int, str]] = []
            for index, server in pending:
                reply = self.wire.ask(self.name, self.types[index], server, sock, after=wait)
                wait = 0
                if reply.rcode == "SERVFAIL" and retries:
                    # A server failure is asked again at once, a few times.
                    retries -= 1
                    again.append((index, server))
                elif not reply.failed:
                    nearest.setdefault(index, []).append((self.wire.network.distance(server), reply))
            pending = again
        for index, arrived in nearest.items():
            replies[index] = min(arrived, key=lambda pair: pair[0])[1]
