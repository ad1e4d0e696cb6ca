"""Go's own resolver (netgo): A and AAAA on two sockets, EDNS 1232, search like glibc. Observed on Go 1.27."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.dns.names import parse_ip, reverse_name
from netsim.dns.stub.conf import HostsLine, ResolvConf
from netsim.dns.stub.wire import Api, Found, Reply, Wire, addresses_of, canonical_of, ordered

EDNS_PAYLOAD = 1232
MAX_NAME = 254


@dataclass(frozen=True, slots=True)
class Go:
    """One process: its resolv.conf, hosts file, sources in nsswitch order, and the pod's own addresses."""

    conf: ResolvConf
    hosts: tuple[HostsLine, ...]
    wire: Wire
    client_ips: tuple[str, ...]
    sources: tuple[str, ...] = ("files", "dns")

    def lookup(self, name: str, api: Api) -> Found:
        """Return what net.LookupHost, LookupAddr (nameinfo) or LookupSRV (srv) yields, packets included."""
        match api:
            case "nameinfo":
                found = self._name_of(name)
            case "srv":
                found = self._services(name)
            case _:
                found = self._addresses(name, _types(api))
        return Found(found.addresses, found.error, found.name, found.aliases, tuple(self.wire.sent))

    def _addresses(self, name: str, types: tuple[str, ...]) -> Found:
        literal = parse_ip(name)
        if literal:
            return Found((literal,))
        if not is_domain_name(name):
            return Found(error=f"1 lookup {name}: no such host")
        error = f"1 lookup {name}: no such host"
        for source in self.sources:
            if source == "files":
                local = tuple(line.address for line in self.hosts if any(_same(name, own) for own in line.names))
                if local:
                    return Found(ordered(local, self.client_ips))
            else:
                found = self._dns(name, types)
                if found.addresses:
                    return found
                error = found.error
        return Found(error=error)

    def _dns(self, name: str, types: tuple[str, ...]) -> Found:
        problem = ""
        for candidate in self.candidates(name):
            replies, why = self._try(candidate, types)
            addresses = tuple(
                ip
                for kind, reply in zip(types, replies, strict=True)
                if reply
                for ip in addresses_of(reply.answer, kind)
            )
            if addresses:
                answer = next(reply.answer for reply in replies if reply and reply.answer)
                return Found(ordered(addresses, self.client_ips), name=canonical_of(answer, name))
            if not problem or candidate != f"{name}.":
                problem = why
        return Found(error=f"1 lookup {name}{problem or ': no such host'}")

    def _services(self, name: str) -> Found:
        problem = ""
        for candidate in self.candidates(name):
            replies, why = self._try(candidate, ("SRV",))
            records = [record for record in replies[0].answer if record.type == "SRV"] if replies[0] else []
            if records:
                return Found(tuple(_service(record.rdata) for record in records), name=candidate)
            problem = why
        return Found(error=f"1 lookup {name}{problem}")

    def _name_of(self, address: str) -> Found:
        for line in self.hosts:
            if line.address == parse_ip(address):
                return Found(name=line.names[0])
        asked = reverse_name(address)
        replies, why = self._try(asked, ("PTR",))
        targets = [record.rdata for record in replies[0].answer if record.type == "PTR"] if replies[0] else []
        return Found(name=targets[0]) if targets else Found(error=f"1 lookup {asked}{why}")

    def walk(self, name: str, kind: str) -> None:
        """Ask for one type along the search list until a name has it."""
        for candidate in self.candidates(name):
            replies, _ = self._try(candidate, (kind,))
            if replies[0] and any(record.type == kind for record in replies[0].answer):
                return

    def candidates(self, name: str) -> list[str]:
        """Return the names that are asked, in order (dnsConfig.nameList)."""
        if name.endswith("."):
            return [name]
        bare = [f"{name}."]
        searched = [f"{name}.{domain.removesuffix('.')}." for domain in self.conf.search]
        searched = [candidate for candidate in searched if len(candidate) <= MAX_NAME]
        return bare + searched if name.count(".") >= self.conf.ndots else searched + bare

    def _try(self, name: str, types: tuple[str, ...]) -> tuple[list[Reply | None], str]:
        """Return the reply to each type (None: no such name or none usable) and the text of the error."""
        done: list[Reply | None] = [None] * len(types)
        open_types = list(range(len(types)))
        problem, wait = "", 0
        for _ in range(self.conf.attempts):
            for server in self.conf.nameservers:
                replies = self._ask_open(name, types, open_types, server, wait)
                wait = 0 if all(reply.rcode or reply.refused for _, reply in replies) else 1000 * self.conf.timeout
                for index, reply in replies:
                    if reply.failed:
                        problem = _problem(reply, server, self.wire.client)
                        continue
                    open_types.remove(index)
                    done[index] = reply
                    if not addresses_of(reply.answer, types[index]):
                        problem = f" on {_endpoint(server)}: no such host"
                if not open_types:
                    return done, problem
        return done, problem

    def _ask_open(
        self, name: str, types: tuple[str, ...], open_types: list[int], server: str, wait: int
    ) -> list[tuple[int, Reply]]:
        tcp = "use-vc" in self.conf.options
        ad = "trust-ad" in self.conf.options
        replies = []
        for number, index in enumerate(open_types):
            after = wait if not number else 0
            sock = self.wire.socket()
            asked = self.wire.ask(name, types[index], server, sock, tcp=tcp, edns=EDNS_PAYLOAD, ad=ad, after=after)
            replies.append((index, asked))
        return [
            (
                index,
                self.wire.ask(name, types[index], server, self.wire.socket(), tcp=True, edns=EDNS_PAYLOAD, ad=ad)
                if reply.tc
                else reply,
            )
            for index, reply in replies
        ]


def _types(api: Api) -> tuple[str, ...]:
    return {"inet": ("A",), "inet6": ("AAAA",)}.get(api, ("A", "AAAA"))


def _same(name: str, own: str) -> bool:
    return name.lower().removesuffix(".") == own.lower().removesuffix(".")


def _service(rdata: str) -> str:
    priority, weight, port, target = rdata.split(" ")
    return f"{target} {port} {priority} {weight}"


def _endpoint(server: str) -> str:
    return f"[{server}]:53" if ":" in server else f"{server}:53"


def _problem(reply: Reply, server: str, client: str) -> str:
    where = _endpoint(server)
    if reply.rcode is not None:
        return f" on {where}: server misbehaving"
    what = "read: connection refused" if reply.refused else "i/o timeout"
    return f" on {where}: read udp {client}:*->{where}: {what}"


def is_domain_name(name: str) -> bool:
    """Whether Go takes a text for a domain name: labels up to 63 bytes, no edge dashes, something no number."""
    if name == ".":
        return True
    labels = name.removesuffix(".").split(".")
    if len(name) > MAX_NAME or not all(0 < len(label) <= 63 for label in labels):
        return False
    if any(label.startswith("-") or label.endswith("-") for label in labels):
        return False
    allowed = all(c.isascii() and (c.isalnum() or c in "_-.") for c in name)
    return allowed and any(not c.isdigit() and c != "." for c in name)
