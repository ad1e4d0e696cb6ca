"""Text of IPVS state both ways: `ipvsadm -Sn`, `ipset save`, and the addresses of kube-ipvs0.

Raises: RulesetSyntaxError with file, line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.ipvs.ir import SERVICE_OPTION, Entry, IpSet, RealServer, VirtualServer
from iptables_gen.values import BITS, Family, decimal, format_ip, parse_endpoint, parse_ip, parse_net

DUMMY = "kube-ipvs0"
"""The interface that kube-proxy binds virtual addresses to."""
_PROTOCOLS = {option: protocol for protocol, option in SERVICE_OPTION.items()} | {
    "--tcp-service": "tcp",
    "--udp-service": "udp",
}
_METHODS = {"-m": "m", "--masquerading": "m", "-g": "g", "--gatewaying": "g", "-i": "i", "--ipip": "i"}


def render_servers(servers: Iterable[VirtualServer]) -> str:
    """Return what `ipvsadm -Sn` prints; `ipvsadm -R` reads it."""
    lines: list[str] = []
    for server in servers:
        name = server.name
        lines.append(_service_line(server, name))
        lines += [f"-a {name} -r {real.key} -{real.method} -w {real.weight}" for real in server.servers]
    return "".join([line + "\n" for line in lines])


def _service_line(server: VirtualServer, name: str) -> str:
    persistent = f" -p {server.persistent}" if server.persistent else ""
    netmask = f" -M {server.netmask}" if server.netmask else ""
    flags = f" -b {','.join(server.flags)}" if server.flags else ""
    one_packet = " -o" if server.one_packet else ""
    return f"-A {name} -s {server.scheduler}{persistent}{netmask}{flags}{one_packet}"


def service_text(server: VirtualServer) -> str:
    """Return the `-A` line of a virtual server."""
    return _service_line(server, server.name)


def real_text(server: VirtualServer, real: RealServer) -> str:
    """Return the `-a` line of a real server."""
    return f"-a {server.name} -r {real.key} -{real.method} -w {real.weight}"


def render_sets(sets: Iterable[IpSet]) -> str:
    """Return what `ipset save` prints, creations first; `ipset restore` reads it."""
    listed = tuple(sets)
    lines = [f"create {found.name} {found.type} {found.options}\n" for found in listed]
    lines += [f"add {found.name} {entry.text}\n" for found in listed for entry in found.entries]
    return "".join(lines)


def render_addresses(addresses: Iterable[str]) -> str:
    """Return one line an address as `ip -o addr show dev kube-ipvs0` prints it."""
    return "".join(_address_line(address) for address in addresses)


def _address_line(address: str) -> str:
    if ":" in address:
        return f"{DUMMY}    inet6 {address}/128 scope global\n"
    return f"{DUMMY}    inet {address}/32 scope global {DUMMY}\n"


def _lines(text: str) -> Iterable[tuple[int, list[str], str]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words and words[0][0] != "#":
            yield number, words, line


class _Options:
    """The options of one ipvsadm line, each with its value and column."""

    def __init__(self, words: list[str], number: int, line: str, file: str) -> None:
        self._given: dict[str, str] = {}
        self._number, self._line, self._file = number, line, file
        place = 1
        while place < len(words):
            option = words[place]
            takes = option not in _METHODS and option not in ("-o", "--ops")
            if takes and place + 1 >= len(words):
                raise self.error(f"option {option} needs a value", option)
            self._given[option] = words[place + 1] if takes else ""
            place += 2 if takes else 1

    def error(self, problem: str, word: str = "") -> RulesetSyntaxError:
        column = self._line.find(word) + 1 if word else 1
        return RulesetSyntaxError(problem, file=self._file, line=self._number, column=column, text=self._line)

    def get(self, *names: str) -> str | None:
        return next((self._given[name] for name in names if name in self._given), None)

    def number(self, default: int, *names: str) -> int:
        text = self.get(*names)
        if text is None or text == "":
            return default
        number = decimal(text)
        if number is None:
            raise self.error(f"{text!r} is not a number", text)
        return number

    def endpoint(self, text: str) -> tuple[str, int]:
        try:
            ip, port = parse_endpoint(text)
            return format_ip(*parse_ip(ip)), port
        except ValueError as error:
            raise self.error(str(error), text) from None

    @property
    def service(self) -> tuple[str, str, int, int]:
        """Return (protocol, address, port, fwmark)."""
        for option, protocol in _PROTOCOLS.items():
            text = self.get(option)
            if text is not None:
                return protocol, *self.endpoint(text), 0
        mark = self.number(0, "-f", "--fwmark-service")
        if not mark:
            raise self.error("no virtual service: expected -t, -u, --sctp-service or -f")
        return "", "", 0, mark

    @property
    def method(self) -> str:
        """Return the forwarding method; direct routing is ipvsadm's default."""
        return next((_METHODS[option] for option in self._given if option in _METHODS), "g")


def parse_servers(text: str, file: str = "-") -> tuple[VirtualServer, ...]:
    """Read `ipvsadm -S -n` output, in any order of lines."""
    servers: dict[tuple[str, str, int, int], VirtualServer] = {}
    reals: dict[tuple[str, str, int, int], list[RealServer]] = {}
    for number, words, line in _lines(text):
        options = _Options(words, number, line, file)
        key = options.service
        if words[0] in ("-A", "--add-service"):
            servers[key] = _virtual(key, options)
        elif words[0] in ("-a", "--add-server"):
            reals.setdefault(key, []).append(_real(options))
        else:
            raise options.error(f"expected -A or -a, found {words[0]!r}", words[0])
    return tuple(replace(server, servers=tuple(reals.get(key, ()))) for key, server in servers.items())


def _virtual(key: tuple[str, str, int, int], options: _Options) -> VirtualServer:
    protocol, address, port, mark = key
    return VirtualServer(
        protocol,
        address,
        port,
        options.get("-s", "--scheduler") or "wlc",
        options.number(0, "-p", "--persistent"),
        tuple(filter(None, (options.get("-b", "--sched-flags") or "").split(","))),
        (),
        mark,
        options.get("-M", "--netmask") or "",
        options.get("-o", "--ops") is not None,
    )


def _real(options: _Options) -> RealServer:
    text = options.get("-r", "--real-server")
    if text is None:
        raise options.error("a server line needs -r ADDRESS:PORT")
    address, port = options.endpoint(text)
    return RealServer(address, port, options.number(1, "-w", "--weight"), options.method)


def parse_sets(text: str, file: str = "-") -> tuple[IpSet, ...]:
    """Read `ipset save` output; sets of both families, in order of creation."""
    sets: dict[str, IpSet] = {}
    entries: dict[str, list[Entry]] = {}
    for number, words, line in _lines(text):
        problem = _set_line(words, sets, entries)
        if problem:
            raise RulesetSyntaxError(problem, file=file, line=number, column=1, text=line)
    return tuple(replace(found, entries=tuple(entries[name])) for name, found in sets.items())


def _set_line(words: list[str], sets: dict[str, IpSet], entries: dict[str, list[Entry]]) -> str:
    """Take in one line; return what is wrong with it, "" if nothing."""
    match words:
        case ["create" | "-N", name, kind, *options]:
            family: Family = 6 if "inet6" in options else 4
            sets[name] = IpSet(name, kind, family, (), " ".join(options))
            entries.setdefault(name, [])
            return ""
        case ["add" | "-A", name, value, *_] if name in sets:
            try:
                entries[name].append(_entry(value, sets[name]))
            except ValueError as error:
                return str(error)
            return ""
        case ["add" | "-A", name, *_]:
            return f"no set {name!r} was created before this line"
        case _:
            return f"expected 'create' or 'add', found {words[0]!r}"


def _entry(value: str, found: IpSet) -> Entry:
    reader = _READERS.get(found.type)
    return reader(value, found.family) if reader else Entry(address=value)


def _address(text: str, family: Family) -> str:
    found, value = parse_ip(text)
    if found != family:
        raise ValueError(f"{text!r} is not of the set's family")
    return format_ip(family, value)


def _port_entry(value: str, family: Family) -> Entry:
    protocol, colon, number = value.rpartition(":")
    return Entry("", protocol if colon else "", int(number))


def _ip_entry(value: str, family: Family) -> Entry:
    return Entry(_address(value, family))


def _ip_port_entry(value: str, family: Family) -> Entry:
    address, port, *rest = value.split(",")
    protocol, colon, number = port.partition(":")
    second = rest[0] if rest else ""
    return Entry(_address(address, family), protocol if colon else "tcp", int(number or protocol), second)


def _ip_port_net_entry(value: str, family: Family) -> Entry:
    entry = _ip_port_entry(value, family)
    return entry._replace(second=network_text(entry.second, family))


def network_text(network: str, family: Family) -> str:
    """Return a network as ipset prints it: a host network is the bare address."""
    found, value, length = parse_net(network)
    if found != family:
        raise ValueError(f"{network!r} is not of the set's family")
    plain = format_ip(family, value)
    return plain if length == BITS[family] else f"{plain}/{length}"


_READERS: Mapping[str, Callable[[str, Family], Entry]] = {
    "bitmap:port": _port_entry,
    "hash:ip": _ip_entry,
    "hash:ip,port": _ip_port_entry,
    "hash:ip,port,ip": _ip_port_entry,
    "hash:ip,port,net": _ip_port_net_entry,
}


def parse_addresses(text: str, file: str = "-") -> tuple[str, ...]:
    """Read `ip addr show` output in any of its forms: every `inet ADDR/LEN` and `inet6 ADDR/LEN` of kube-ipvs0.

    Raises:  RulesetSyntaxError for words behind `inet` that are no address.
    """
    found: list[str] = []
    for number, words, line in _lines(text):
        for word, value in pairwise(words):
            if word in ("inet", "inet6"):
                try:
                    found.append(format_ip(*parse_ip(value.split("/")[0])))
                except ValueError as error:
                    place = line.find(value) + 1
                    raise RulesetSyntaxError(str(error), file=file, line=number, column=place, text=line) from error
    return tuple(found)
