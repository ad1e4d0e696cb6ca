"""Names that kube-proxy derives from hashes: chains of iptables mode, chains and sets of nftables mode.

Source: observed on kube-proxy v1.36.2; the ClusterIP is part of no hash, so a name survives a change of address.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# 15 bits are three base32 digits: one look-up for three characters, as base64.b32encode is four times slower and
# a large cluster needs one name per endpoint.
_TRIPLES = tuple(a + b + c for a in _ALPHABET for b in _ALPHABET for c in _ALPHABET)
_first_ten_bytes = Struct(">QH").unpack_from

NFT_NAME_LIMIT = 240
"""Longest chain or set base name that kube-proxy gives to nft, in characters."""


def base32_80(digest: bytes) -> str:
    """Return the first 16 characters of the base32 text (RFC 4648, upper case) of a digest: its first 80 bits."""
    high, low = _first_ten_bytes(digest)
    t = _TRIPLES
    return (
        f"{t[high >> 49]}{t[high >> 34 & 32767]}{t[high >> 19 & 32767]}{t[high >> 4 & 32767]}"
        f"{t[(high & 15) << 11 | low >> 5]}{_ALPHABET[low & 31]}"
    )


def hash16(text: str) -> str:
    """Return the 16 characters that end an iptables chain name: base32 of sha256 of the text."""
    return base32_80(sha256(text.encode()).digest())


def service_hash(name_string: str, protocol: str) -> str:
    """Return the ending of KUBE-SVC-, KUBE-SVL-, KUBE-EXT- and KUBE-FW- chains.

    `name_string` is `ns/name:port` (`ns/name` for a nameless port), `protocol` lower case.
    """
    return hash16(name_string + protocol)


def endpoint_chain(name_string: str, protocol: str, endpoint: str) -> str:
    """Return the KUBE-SEP- chain of an endpoint given as `ip:port` (`[v6]:port`)."""
    return "KUBE-SEP-" + hash16(name_string + protocol + endpoint)


def nft_base(namespace: str, service: str, protocol: str, port_name: str) -> str:
    """Return what follows `service-`, `local-`, `external-` and `firewall-` in nftables mode.

    The hash comes first so that names cut to the limit stay distinct; an empty port name leaves the final slash.
    """
    return _nft_hashed(f"{namespace}/{service}/{protocol}/{port_name}")


def nft_endpoint_base(namespace: str, service: str, protocol: str, port_name: str, ip: str, port: int) -> str:
    """Return what follows `endpoint-` and `affinity-` in nftables mode; colons of an IPv6 address become dots."""
    # nft allows no colon in a chain's or set's name.
    return _nft_hashed(f"{namespace}/{service}/{protocol}/{port_name}__{ip.replace(':', '.')}/{port}")


def _nft_hashed(name: str) -> str:
    text = f"{hash16(name)[:8]}-{name}"
    return text if len(text) <= NFT_NAME_LIMIT else text[: NFT_NAME_LIMIT - 3] + "..."
