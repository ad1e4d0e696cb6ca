"""A Corefile and a Cluster -> a Server: the plugin chain in CoreDNS' own order (plugin.cfg), whatever the file's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from iptables_gen.values import decimal
from netsim.cluster.model import Cluster
from netsim.dns.autopath import Autopath
from netsim.dns.cache import Bounds, Cache, CacheSettings, Loadbalance
from netsim.dns.chain import End, Plugin
from netsim.dns.corefile import CorefileError, Directive, ServerBlock, parse
from netsim.dns.forward import UNREACHABLE, Forward, Upstream
from netsim.dns.hosts import DEFAULT_TTL, Hosts, index
from netsim.dns.kubernetes import Kubernetes
from netsim.dns.names import parse_ip
from netsim.dns.server import Block, Server
from netsim.dns.settings import read_kubernetes, zone_of
from netsim.dns.view import ZoneView, build_view
from netsim.notes import Note

# Plugins that change no answer of this model: logging, health, metrics, reloading, and what decides where it listens.
INERT = frozenset(
    (
        "errors",
        "log",
        "health",
        "ready",
        "prometheus",
        "reload",
        "loop",
        "debug",
        "pprof",
        "trace",
        "dnstap",
        "root",
        "metadata",
        "cancel",
        "timeouts",
        "multisocket",
        "bind",
    )
)
MODELLED = frozenset(("kubernetes", "forward", "cache", "autopath", "hosts", "loadbalance"))
# Their order around each other: the first answers first.
ORDER = ("loadbalance", "cache", "autopath", "hosts", "kubernetes", "forward")
ANY_CLASS = frozenset(("forward", "chaos"))


@dataclass(frozen=True, slots=True)
class Setup:
    """What a Server is made for. coredns_ips: its own addresses; serial of the SOA; synced: the API server answered."""

    cluster: Cluster
    coredns_ips: tuple[str, ...]
    upstream: Upstream = UNREACHABLE
    serial: int = 0
    synced: bool = True
    file: str = "Corefile"


@dataclass(slots=True)
class _Making:
    """Views made so far, in the order the chain is built (last plugin first)."""

    setup: Setup
    zones: tuple[str, ...]
    views: list[ZoneView] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def make_server(text: str, setup: Setup) -> tuple[Server, tuple[Note, ...]]:
    """Return the server that a Corefile describes, and notes naming what of it is not modelled."""
    blocks: dict[str, Block] = {}
    notes: list[Note] = []
    for server_block in _on_dns_port(parse(text, setup.file), notes):
        zones = tuple(map(zone_of, server_block.keys))
        block = _block(server_block, _Making(setup, zones, notes=notes))
        blocks |= dict.fromkeys(zones, block)
    return Server(blocks), tuple(dict.fromkeys(notes))


def _on_dns_port(blocks: Iterable[ServerBlock], notes: list[Note]) -> list[ServerBlock]:
    """Return the blocks of one port: 53, else the first block's; other ports and transports are noted."""
    listed = [(block, _port(key), key) for block in blocks for key in block.keys]
    ports = [port for _, port, _ in listed]
    wanted = 53 if 53 in ports else ports[0]
    for _, port, key in listed:
        if port != wanted:
            notes.append(Note("NOT_MODELLED", f"Corefile server {key}: only port {wanted} is asked", qualifies=True))
    chosen: dict[int, ServerBlock] = {}
    for block, port, key in listed:
        if port == wanted:
            keys = (*(chosen[block.line].keys if block.line in chosen else ()), key)
            chosen[block.line] = ServerBlock(keys, block.line, block.directives)
    return list(chosen.values())


def _port(key: str) -> int:
    scheme, found, rest = key.partition("://")
    if found and scheme not in ("dns",):
        return {"tls": 853, "https": 443, "grpc": 443, "quic": 853, "doq": 853, "https3": 443}.get(scheme, 0)
    port = decimal((rest or key).rpartition(":")[2])
    return port if port is not None and ":" in key else 53


def _block(block: ServerBlock, making: _Making) -> Block:
    for directive in block.directives:
        if directive.name == "import":
            text = f"Corefile line {directive.line}: import {' '.join(directive.arguments)}: files are not in the input"
            making.notes.append(Note("NOT_MODELLED", text, qualifies=True))
        elif directive.name not in INERT | MODELLED:
            text = f"Corefile line {directive.line}: plugin {directive.name} is not modelled; answers leave it out"
            making.notes.append(Note("NOT_MODELLED", text, qualifies=True))
    chain: Plugin = End()
    for name in reversed(ORDER):
        for directive in reversed([d for d in block.directives if d.name == name]):
            chain = _MAKERS[name](directive, chain, making)
    return Block(chain, any(d.name in ANY_CLASS for d in block.directives))


def _kubernetes(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    setup = making.setup
    settings = read_kubernetes(directive, making.zones, setup.file)
    for name in settings.unmodelled:
        making.notes.append(Note("NOT_MODELLED", f"Corefile line {directive.line}: {name}", qualifies=True))
    view = build_view(setup.cluster, settings, synced=setup.synced)
    making.views.append(view)
    return Kubernetes(view, setup.coredns_ips, setup.serial, following)


def _forward(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    if len(directive.arguments) < 2:
        raise _error(directive, making, "a zone and at least one upstream are needed")
    excepted = [zone_of(zone) for line in directive.block or () if line.name == "except" for zone in line.arguments]
    return Forward(zone_of(directive.arguments[0]), tuple(excepted), making.setup.upstream, following)


def _cache(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    words = list(directive.arguments)
    success, denial = Bounds(5, 3600), Bounds(5, 1800)
    if words and (high := decimal(words[0])) is not None:
        del words[0]
        success, denial = Bounds(5, high), Bounds(5, high)
    settings = CacheSettings(tuple(map(zone_of, words)) or making.zones, success, denial)
    for line in directive.block or ():
        settings = _cache_option(settings, line, making)
    return Cache(settings, following)


def _cache_option(settings: CacheSettings, line: Directive, making: _Making) -> CacheSettings:
    from dataclasses import replace

    words = line.arguments
    match line.name, words:
        case (("success" | "denial"), _):
            old = settings.success if line.name == "success" else settings.denial
            numbers = [number for word in words[1:3] if (number := decimal(word)) is not None]
            high = numbers[0] if numbers else old.high
            bounds = Bounds(numbers[1] if len(numbers) > 1 else old.low, high)
            return replace(settings, success=bounds) if line.name == "success" else replace(settings, denial=bounds)
        case "disable", ["success" | "denial" as what, *zones]:
            excepted = tuple(map(zone_of, zones)) or making.zones
            if what == "success":
                return replace(settings, keep_success_except=excepted)
            return replace(settings, keep_denial_except=excepted)
        case "servfail", [duration]:
            return replace(settings, fail_ttl=_seconds(line, duration, making))
        case "keepttl", _:
            return replace(settings, keep_ttl=True)
        case (("prefetch" | "serve_stale"), _):
            return settings
        case _:
            raise _error(line, making, f"unknown property {line.name} {' '.join(words)}".rstrip())


def _seconds(line: Directive, duration: str, making: _Making) -> int:
    units = {"s": 1, "m": 60, "h": 3600}
    if (seconds := decimal(duration)) is not None:
        return seconds
    if (count := decimal(duration[:-1])) is not None and duration[-1:] in units:
        return count * units[duration[-1]]
    raise _error(line, making, f"{duration!r} is not a duration")


def _autopath(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    if not directive.arguments:
        raise _error(directive, making, "no resolv-conf specified")
    *zones, source = directive.arguments
    view = making.views[-1] if source == "@kubernetes" and making.views else None
    if view is None:
        text = f"Corefile line {directive.line}: autopath {source}: only @kubernetes is modelled"
        making.notes.append(Note("NOT_MODELLED", text, qualifies=True))
    return Autopath(tuple(map(zone_of, zones)) or making.zones, view, following)


def _loadbalance(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    return Loadbalance(following)


def _hosts(directive: Directive, following: Plugin, making: _Making) -> Plugin:
    """Return the plugin for inline entries; a hosts file of CoreDNS' own container is not in the input."""
    words = list(directive.arguments)
    block = directive.block or ()
    entries = [(line.name, line.arguments) for line in block if parse_ip(line.name)]
    if (words and "/" in words[0]) or not entries:
        path = words.pop(0) if words and "/" in words[0] else "/etc/hosts"
        text = f"Corefile line {directive.line}: hosts: the file {path} is not in the input; only inline entries count"
        making.notes.append(Note("NOT_MODELLED", text, qualifies=True))
    ttl, fallthrough = directive.sub("ttl"), directive.sub("fallthrough")
    addresses, names = index(entries, reverse=directive.sub("no_reverse") is None)
    return Hosts(
        tuple(map(zone_of, words)) or making.zones,
        addresses,
        names,
        _hosts_ttl(ttl),
        None if fallthrough is None else tuple(map(zone_of, fallthrough.arguments)) or (".",),
        following,
    )


def _hosts_ttl(ttl: Directive | None) -> int:
    value = decimal(ttl.arguments[0]) if ttl and ttl.arguments else None
    return DEFAULT_TTL if value is None else value


def _error(directive: Directive, making: _Making, problem: str) -> CorefileError:
    return CorefileError(f"{making.setup.file}:{directive.line}: {directive.name}: {problem}")


_MAKERS: dict[str, Callable[[Directive, Plugin, _Making], Plugin]] = {
    "kubernetes": _kubernetes,
    "forward": _forward,
    "cache": _cache,
    "autopath": _autopath,
    "hosts": _hosts,
    "loadbalance": _loadbalance,
}
