"""The words that name a flow on the command line: FROM, TO, --via and the protocol ("Naming things" of the contract).

Words are parsed without knowing the cluster; whether a pod, node or Service exists is the resolver's business.
Raises:  UsageError with the forms that are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from iptables_gen.values import Family, decimal, parse_ip
from netsim.errors import UsageError
from netsim.packet.names import hint

PORTED = ("tcp", "udp", "sctp", "dccp", "udplite")
PORTLESS = ("icmp", "ipv6-icmp", "igmp", "ah", "esp", "gre", "ipip")
_FROM_FORMS = "pod/NAMESPACE/NAME, node/NAME, external, external/IP or an IP address"
_TO_FORMS = (
    "svc/NAMESPACE/NAME[:PORT], pod/NAMESPACE/NAME:PORT, node/NAME:PORT, IP:PORT, [IPV6]:PORT, HOST:PORT "
    "or http(s)://HOST[:PORT]/PATH"
)
_HOST = re.compile(r"(?=.{1,255}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_-]{1,63}\.?\Z")


@dataclass(frozen=True, slots=True)
class PodRef:
    """A pod; as a destination with a port."""

    namespace: str
    name: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class NodeRef:
    """A node; as a source, a process in its host network namespace."""

    name: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class External:
    """A client outside the cluster; address None means the usual one of the family that is dialled."""

    address: tuple[Family, int] | None = None


@dataclass(frozen=True, slots=True)
class AddressRef:
    """A bare address; as a destination with a port."""

    family: Family
    value: int
    port: int = 0


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A Service; `port` is a name, a number as text, or "" for its only port."""

    namespace: str
    name: str
    port: str = ""


@dataclass(frozen=True, slots=True)
class HostRef:
    """A name to be resolved as the source would resolve it."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class UrlRef:
    """An http or https URL; port is the scheme's default when the URL has none."""

    url: str
    scheme: str
    host: str
    port: int


FromWord = PodRef | NodeRef | External | AddressRef
ToWord = ServiceRef | PodRef | NodeRef | AddressRef | HostRef | UrlRef


def parse_from(text: str, namespace: str) -> FromWord:
    """Return what FROM names."""
    kind, slash, rest = text.partition("/")
    if slash:
        match kind:
            case "pod" | "pods" | "po":
                return PodRef(*_namespaced(text, rest, namespace, _FROM_FORMS))
            case "node" | "nodes" | "no":
                return NodeRef(_plain(text, rest, _FROM_FORMS))
            case "external":
                return External(_address(rest, f"{text!r}: {rest!r} is not an IP address"))
            case _:
                raise UsageError(f"{text!r} names no source{hint(kind, ('pod', 'node', 'external'))}: {_FROM_FORMS}")
    if text == "external":
        return External()
    problem = f"{text!r} names no source{hint(text, ('external',))}: write {_FROM_FORMS}"
    return AddressRef(*_address(text.removeprefix("[").removesuffix("]"), problem))


def parse_via(text: str) -> str:
    """Return the node's name of `node/NAME`."""
    kind, slash, name = text.partition("/")
    if not slash or kind not in ("node", "nodes", "no") or not name or "/" in name:
        raise UsageError(f"{text!r} names no node: write --via node/NAME")
    return name


def parse_to(text: str, namespace: str, protocol: str | None = None) -> tuple[ToWord, str | None]:
    """Return what TO names and the protocol that it or *protocol* says (None: neither does, which means tcp)."""
    if text.startswith(("http://", "https://")):
        return _url(text), check_protocol(protocol)
    body, suffix = _split_protocol(text)
    said = check_protocol(suffix or protocol)
    if suffix and protocol and suffix != check_protocol(protocol):
        raise UsageError(f"{text!r} says {suffix}, --protocol says {protocol}")
    return _target(text, body, namespace, ported=said in (None, *PORTED)), said


def check_protocol(protocol: str | None) -> str | None:
    """Return the protocol's name in lower case; raise UsageError for one that nobody knows."""
    if protocol is None or protocol == "":
        return None
    lower = protocol.lower()
    if lower in PORTED or lower in PORTLESS:
        return lower
    raise UsageError(f"unknown protocol {protocol!r}{hint(lower, (*PORTED, *PORTLESS))}: tcp, udp or sctp")


def _split_protocol(text: str) -> tuple[str, str]:
    body, slash, last = text.rpartition("/")
    lower = last.lower()
    known = slash and (lower in PORTED or lower in PORTLESS)
    if not known or (body.count("/") < 2 and body.startswith(("svc/", "pod/")) and ":" not in body):
        return text, ""
    return body, lower


def _target(text: str, body: str, namespace: str, *, ported: bool) -> ToWord:
    kind, slash, rest = body.partition("/")
    if not slash:
        return _place(text, body, ported=ported)
    match kind:
        case "svc" | "service" | "services":
            name, _, port = rest.partition(":")
            return ServiceRef(*_namespaced(text, name, namespace, _TO_FORMS), port)
        case "pod" | "pods" | "po":
            name, number = _with_port(text, rest, ported=ported)
            return PodRef(*_namespaced(text, name, namespace, _TO_FORMS), number)
        case "node" | "nodes" | "no":
            name, number = _with_port(text, rest, ported=ported)
            return NodeRef(_plain(text, name, _TO_FORMS), number)
        case _:
            raise UsageError(f"{text!r} names no destination{hint(kind, ('svc', 'pod', 'node'))}: write {_TO_FORMS}")


def _place(text: str, body: str, *, ported: bool) -> AddressRef | HostRef:
    if not ported:
        return AddressRef(*_address(body.strip("[]"), f"{text!r}: {body!r} is not an IP address"))
    host, port = _with_port(text, body, ported=True)
    if host.startswith("[") and host.endswith("]"):
        return AddressRef(*_address(host[1:-1], f"{text!r}: {host!r} is not an IPv6 address"), port)
    if ":" in host:
        raise UsageError(f"{text!r}: write an IPv6 address in brackets, [{host}]:{port}")
    try:
        return AddressRef(*parse_ip(host), port)
    except ValueError:
        pass
    if not _HOST.match(host) or host.replace(".", "").isdigit():
        raise UsageError(f"{text!r}: {host!r} is neither an IP address nor a host name; write {_TO_FORMS}")
    return HostRef(host, port)


def _url(text: str) -> UrlRef:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a URL: {error}") from error
    if not parts.hostname:
        raise UsageError(f"{text!r} is not a URL: it has no host")
    return UrlRef(text, parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))


def _namespaced(text: str, rest: str, namespace: str, forms: str) -> tuple[str, str]:
    parts = rest.split("/")
    if not all(parts) or len(parts) > 2:
        raise UsageError(f"{text!r}: write {forms}")
    return (namespace, parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _plain(text: str, name: str, forms: str) -> str:
    if not name or "/" in name:
        raise UsageError(f"{text!r}: write {forms}")
    return name


def _with_port(text: str, rest: str, *, ported: bool) -> tuple[str, int]:
    if not ported:
        return rest, 0
    name, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        raise UsageError(f"{text!r} has no port: write {_TO_FORMS}")
    number = decimal(port) or 0
    if not 0 < number < 65536:
        raise UsageError(f"{text!r}: port {port!r} is not a number from 1 to 65535")
    return name, number


def _address(text: str, problem: str) -> tuple[Family, int]:
    try:
        return parse_ip(text)
    except ValueError as error:
        raise UsageError(problem) from error
