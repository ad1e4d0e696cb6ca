"""Stand-ins for what the API server makes up at random: UIDs."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from netsim.cluster.read import mapping, text


def uid(data: Mapping[str, Any]) -> str:
    """Return the UID of an object: its own, else one made of kind and name, the same on every run."""
    metadata = mapping(data.get("metadata"))
    words = (data.get("kind"), metadata.get("namespace"), metadata.get("name"))
    return text(metadata.get("uid")) or made_uid(*words)


def made_uid(*words: object) -> str:
    """Return a version 4 UUID made of words."""
    raw = bytearray(blake2b("\0".join(map(str, words)).encode(), digest_size=16).digest())
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    word = raw.hex()
    return "-".join((word[:8], word[8:12], word[12:16], word[16:20], word[20:]))
