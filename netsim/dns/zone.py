"""Every record that the cluster serves, in zone-file order: what an AXFR would say if the plugin had one.

Every record listed is one that the server answers with; `pods insecure` names any address and is not listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from netsim.dns.chain import Call, Plugin
from netsim.dns.kubernetes import SCHEMA_VERSION, VERSION_TTL, Kubernetes
from netsim.dns.names import is_reverse, parse_ip, reverse_name
from netsim.dns.records import Query, Record, Reply
from netsim.dns.server import Server
from netsim.dns.view import ServiceEntry

FORWARD_TYPES = ("A", "AAAA", "SRV")


def kubernetes_plugins(server: Server) -> list[Kubernetes]:
    """Return the kubernetes plugins of all server blocks, each once."""
    found: dict[int, Kubernetes] = {}
    for block in server.blocks.values():
        link: Plugin | None = block.chain
        while link is not None:
            if isinstance(link, Kubernetes):
                found[id(link)] = link
            link = getattr(link, "next", None)
    return list(found.values())


def zone_records(server: Server) -> Iterator[Record]:
    """Yield the records of every zone: apex, name server, services with their endpoints and ports, pods, PTR."""
    seen: set[Record] = set()
    for plugin in kubernetes_plugins(server):
        for zone in plugin.view.settings.zones:
            for record in _zone(plugin, zone, server):
                if record not in seen:
                    seen.add(record)
                    yield record


def _zone(plugin: Kubernetes, zone: str, server: Server) -> Iterator[Record]:
    yield plugin.soa(zone)
    call = Call(server)
    yield from _answers(plugin, zone, ("NS",), call)
    yield Record(f"dns-version.{zone}", VERSION_TTL, "TXT", f'"{SCHEMA_VERSION}"')
    if is_reverse(zone):
        yield from _reverse(plugin, zone, call)
        return
    yield from _answers(plugin, f"ns.dns.{zone}", ("A", "AAAA"), call)
    for key in sorted(plugin.view.services):
        yield from _service(plugin, plugin.view.services[key], zone, call)
    yield from _pods(plugin, zone, call)


def _service(plugin: Kubernetes, entry: ServiceEntry, zone: str, call: Call) -> Iterator[Record]:
    """Yield a service's records; names that no query can reach (upper case, hidden namespace) have none."""
    name = f"{entry.prefix}{zone}"
    if name != name.lower():
        return
    if entry.external:
        yield from _answers(plugin, name, ("CNAME",), call)
        return
    yield from _answers(plugin, name, FORWARD_TYPES, call)
    pairs = {(found.port_name, found.protocol): None for found in entry.bare if found.port_name and found.protocol}
    for port, protocol in pairs:
        yield from _answers(plugin, f"_{port}._{protocol}.{name}", FORWARD_TYPES, call)
    for label in entry.endpoints:
        yield from _answers(plugin, f"{label}.{name}", FORWARD_TYPES, call)


def _pods(plugin: Kubernetes, zone: str, call: Call) -> Iterator[Record]:
    for ip, namespaces in sorted(plugin.view.pods_by_ip.items()):
        for namespace in sorted(set(namespaces)):
            dashed = ip.replace(".", "-").replace(":", "-")
            yield from _answers(plugin, f"{dashed}.{namespace}.pod.{zone}", ("A", "AAAA"), call)


def _reverse(plugin: Kubernetes, zone: str, call: Call) -> Iterator[Record]:
    addresses = {*plugin.view.services_by_ip, *plugin.view.slices_by_ip}
    for address in sorted(address for address in addresses if parse_ip(address) == address):
        name = reverse_name(address)
        if name.endswith(zone):
            yield from _answers(plugin, name, ("PTR",), call)


def _answers(plugin: Kubernetes, name: str, types: tuple[str, ...], call: Call) -> Iterator[Record]:
    for kind in types:
        outcome = plugin.answer(Query(name, kind), call)
        if isinstance(outcome, Reply) and outcome.aa:
            yield from (record for record in outcome.answer if record.name == name)
