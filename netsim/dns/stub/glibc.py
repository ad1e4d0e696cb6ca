"""glibc's getaddrinfo, gethostbyname and getnameinfo over nss_files and nss_dns. Observed on glibc 2.36."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netsim.dns.names import fqdn, parse_ip, reverse_name
from netsim.dns.stub.conf import HostsLine, ResolvConf
from netsim.dns.stub.wire import Api, Found, Reply, Wire, addresses_of, canonical_of, ordered

NO_NAME, NO_DATA, AGAIN, FAIL, FAMILY = (
    "-2 Name or service not known",
    "-5 No address associated with hostname",
    "-3 Temporary failure in name resolution",
    "-4 Non-recoverable failure in name resolution",
    "-9 Address family for hostname not supported",
)
H_ERRORS = {
    NO_NAME: "h_errno=1 Unknown host",
    AGAIN: "h_errno=2 Host name lookup failure",
    FAIL: "h_errno=3 Unknown server error",
    NO_DATA: "h_errno=4 No address associated with name",
}
EDNS_PAYLOAD = 1200
# getaddrinfo's first buffer, and what an address takes in it: what does not fit is looked up again with twice as much.
BUFFER_BYTES, TUPLE_BYTES, ALIGN = 1024, 40, 8
MAX_BUFFER = 1 << 20
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
Verdict = Literal["found", "nodata", "nxdomain", "servfail", "timeout", "refused", "fail"]


@dataclass(frozen=True, slots=True)
class Glibc:
    """One process: its resolv.conf, hosts file, sources in nsswitch order, and the pod's own addresses."""

    conf: ResolvConf
    hosts: tuple[HostsLine, ...]
    wire: Wire
    client_ips: tuple[str, ...]
    sources: tuple[str, ...] = ("files", "dns")

    def lookup(self, name: str, api: Api) -> Found:
        """Return what the call yields, packets included."""
        if api == "nameinfo":
            found = self._name_of(name)
        else:
            found = self._addresses(name, self._types(api))
            if api in ("ghbn", "ghbn2_6") and found.error:
                found = Found(error=H_ERRORS.get(found.error, found.error))
        return Found(found.addresses, found.error, found.name, found.aliases, tuple(self.wire.sent))

    def _types(self, api: Api) -> tuple[str, ...]:
        match api:
            case "inet" | "ghbn":
                return ("A",)
            case "inet6" | "ghbn2_6":
                return ("AAAA",)
            case "addrconfig":
                families = tuple(dict.fromkeys("AAAA" if ":" in ip else "A" for ip in self.client_ips))
                return tuple(kind for kind in ("A", "AAAA") if kind in families) or ("A", "AAAA")
            case _:
                return ("A", "AAAA")

    def _addresses(self, name: str, types: tuple[str, ...]) -> Found:
        literal = _literal(name)
        if literal:
            kind = "AAAA" if ":" in literal else "A"
            return Found((literal,), name=name) if kind in types else Found(error=FAMILY)
        error = NO_NAME
        for source in self.sources:
            found = self._files(name, types) if source == "files" else self._dns(name, types)
            if found.addresses:
                addresses = ordered(found.addresses, self.client_ips) if len(types) > 1 else found.addresses
                return Found(addresses, "", found.name, found.aliases)
            if source == "dns":
                error = found.error
        return Found(error=error)

    def _files(self, name: str, types: tuple[str, ...]) -> Found:
        lines = [line for line in self.hosts if any(name.lower() == own.lower() for own in line.names)]
        found = [address for line in lines for address in _of_types(line.address, types)]
        names = [own for line in lines for own in line.names]
        aliases = tuple(dict.fromkeys(own for own in names[1:] if names and own != names[0]))
        return Found(tuple(found), name=names[0] if names else "", aliases=aliases)

    def _dns(self, name: str, types: tuple[str, ...]) -> Found:
        if not valid(name):
            return Found(error=NO_NAME)
        if "no-aaaa" in self.conf.options:
            types = tuple(kind for kind in types if kind != "AAAA")
            if not types:
                return Found(error=NO_DATA)
        size = BUFFER_BYTES
        while True:
            verdict, replies = Walk(self.conf, self.wire, types).search(name)
            needed = _needed(replies) if len(types) > 1 else 0
            if verdict != "found" or needed <= size or size >= MAX_BUFFER:
                break
            size *= 2
        return _result(verdict, replies, name)

    def _name_of(self, address: str) -> Found:
        for line in self.hosts if "files" in self.sources else ():
            if line.address == parse_ip(address):
                return Found(name=line.names[0])
        walk = Walk(self.conf, self.wire, ("PTR",))
        verdict, replies = walk.candidate(reverse_name(address))
        targets = [record.rdata for record in replies[0].answer if record.type == "PTR"] if replies else []
        if verdict == "found" and targets:
            return Found(name=targets[0].removesuffix("."))
        return Found(error=AGAIN if verdict in ("servfail", "timeout", "refused") else NO_NAME)


def _of_types(address: str, types: tuple[str, ...]) -> Iterator[str]:
    kind = "AAAA" if ":" in address else "A"
    if kind in types:
        yield address
    elif address == "::1" and types == ("A",):
        # nss_files maps the IPv6 loopback for callers that asked for IPv4 only.
        yield "127.0.0.1"


def _literal(name: str) -> str:
    """Return the address a name is by itself, inet_aton's short forms included."""
    if ":" in name:
        return parse_ip(name.partition("%")[0]) or ""
    if not name or not name[-1].isalnum() or not name[0].isdigit():
        return ""
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return ""


def valid(name: str) -> bool:
    """Whether nss_dns asks for a name at all (res_hnok): labels of letters, digits, `-` and `_`, no leading dash."""
    if name == ".":
        return True
    labels = name.removesuffix(".").split(".")
    return not name.startswith("-") and len(name) <= 254 and all(_LABEL.fullmatch(label) for label in labels)


def _needed(replies: tuple[Reply, ...]) -> int:
    names = sum(len(record.rdata) for reply in replies for record in reply.answer if record.type == "CNAME")
    owner = next((len(record.name) for reply in replies for record in reply.answer), 0)
    count = sum(len(addresses_of(reply.answer, kind)) for reply in replies for kind in ("A", "AAAA"))
    return -(-(owner + names) // ALIGN) * ALIGN + TUPLE_BYTES * count


def _result(verdict: Verdict, replies: tuple[Reply, ...], name: str) -> Found:
    match verdict:
        case "found":
            addresses = tuple(
                ip for reply in replies for kind in ("A", "AAAA") for ip in addresses_of(reply.answer, kind)
            )
            with_data = next((reply for reply in replies if reply.answer), None)
            if not addresses or with_data is None:
                return Found(error=NO_DATA)
            chain = [record.name.removesuffix(".") for record in with_data.answer if record.type == "CNAME"]
            return Found(addresses, "", canonical_of(with_data.answer, name), tuple(chain))
        case "nodata":
            return Found(error=NO_DATA)
        case "nxdomain":
            return Found(error=NO_NAME)
        case "servfail" | "timeout" | "refused":
            return Found(error=AGAIN)
        case "fail":
            return Found(error=FAIL)


@dataclass(slots=True)
class Walk:
    """One walk along the search list (res_nsearch), for one type or for A and AAAA together."""

    conf: ResolvConf
    wire: Wire
    types: tuple[str, ...]
    candidates: int = 0
    wait: int = 0

    def search(self, name: str) -> tuple[Verdict, tuple[Reply, ...]]:
        """Return how the walk ends and the replies of the name that decided it."""
        rooted, dots = name.endswith("."), name.count(".")
        first: Verdict | None = None
        if rooted or dots >= self.conf.ndots:
            first, replies = self.candidate(name)
            if first in ("found", "refused") or rooted:
                return first, replies
        seen: list[Verdict] = []
        root_listed = False
        for domain in self.conf.search:
            bare = domain.strip(".")
            root_listed = root_listed or not bare
            verdict, replies = self.candidate(f"{name}.{bare}" if bare else name)
            if verdict in ("found", "refused"):
                return verdict, replies
            seen.append(verdict)
            if verdict in ("timeout", "fail"):
                break
        bare_allowed = dots or not self.conf.search or "no-tld-query" not in self.conf.options
        last: Verdict = seen[-1] if seen else "nxdomain"
        if first is None and not root_listed and bare_allowed:
            last, replies = self.candidate(name)
            if last == "found":
                return last, replies
        return _final(first, seen, last), ()

    def candidate(self, name: str) -> tuple[Verdict, tuple[Reply, ...]]:
        """Ask for one name: every server in turn, `attempts` times over (res_nsend)."""
        asked, servers = fqdn(name), self._servers()
        sockets: dict[int, str] = {}
        somewhere = failed = False
        for _ in range(self.conf.attempts):
            for index, server in enumerate(servers):
                replies = self._exchange(asked, server, index, sockets, self.wait)
                self.wait = 0
                usable = [reply for reply in replies if not reply.failed]
                if usable and all(reply.rcode is not None for reply in replies):
                    return _verdict(usable), tuple(usable)
                failed = failed or any(reply.rcode is not None for reply in replies)
                if any(reply.refused for reply in replies):
                    sockets.pop(index, None)
                    continue
                somewhere = True
                if any(reply.rcode is None for reply in replies):
                    self.wait = self._patience(index)
                elif len(self.types) == 1:
                    sockets.pop(index, None)
        return ("servfail" if failed else "timeout" if somewhere else "refused"), ()

    def _servers(self) -> tuple[str, ...]:
        servers = self.conf.nameservers
        turn = self.candidates % len(servers) if "rotate" in self.conf.options else 0
        self.candidates += 1
        return servers[turn:] + servers[:turn]

    def _patience(self, index: int) -> int:
        """Return the milliseconds that glibc waits for a server: doubled for each later one, shared among all."""
        seconds = self.conf.timeout << index
        return 1000 * (max(1, seconds // len(self.conf.nameservers)) if index else seconds)

    def _exchange(self, name: str, server: str, index: int, sockets: dict[int, str], wait: int) -> list[Reply]:
        options = self.conf.options
        if "use-vc" in options:
            return self._ask_all(name, server, self.wire.socket(), wait, tcp=True)
        if index not in sockets:
            sockets[index] = self.wire.socket()
        replies = self._ask_all(name, server, sockets[index], wait, reopen="single-request-reopen" in options)
        if any(reply.tc for reply in replies):
            return self._ask_all(name, server, self.wire.socket(), 0, tcp=True)
        return replies

    def _ask_all(
        self, name: str, server: str, sock: str, wait: int, *, tcp: bool = False, reopen: bool = False
    ) -> list[Reply]:
        edns = EDNS_PAYLOAD if "edns0" in self.conf.options else 0
        ad = "trust-ad" in self.conf.options
        replies = []
        for number, kind in enumerate(self.types):
            if number and reopen:
                sock = self.wire.socket()
            after = wait if not number else 0
            replies.append(self.wire.ask(name, kind, server, sock, tcp=tcp, edns=edns, ad=ad, after=after))
        return replies


def _verdict(replies: list[Reply]) -> Verdict:
    if any(reply.rcode == "NOERROR" and reply.answer for reply in replies):
        return "found"
    return "nodata" if any(reply.rcode == "NOERROR" for reply in replies) else "nxdomain"


def _final(first: Verdict | None, seen: list[Verdict], last: Verdict) -> Verdict:
    """Return the error of a walk without success: the as-is question's if it came first, else NODATA if any said so."""
    if first is not None:
        return first
    if "nodata" in seen:
        return "nodata"
    if "servfail" in seen:
        return "servfail"
    return last
