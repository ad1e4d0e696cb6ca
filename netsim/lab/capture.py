"""Capturing in a lab: one AF_PACKET socket in a namespace hears all of its interfaces, in both directions."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator

from netsim.errors import LabError
from netsim.lab import enter, state
from netsim.lab.pcap import SNAPLEN, Captured

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
BUFFER = 16 << 20
SO_RCVBUFFORCE = 33


def open_capture(lab: state.LabState, namespace: str) -> socket.socket:
    """Enter a namespace and return a socket that hears it; LabError when this process may not."""
    enter.join(lab, namespace)
    try:
        ears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    except PermissionError as error:
        raise LabError(f"cannot capture in {namespace}: needs CAP_NET_RAW") from error
    ears.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        ears.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    except PermissionError:
        # In a user namespace the host's limit holds: a burst may then lose packets.
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return ears


def packets(ears: socket.socket, count: int = 0, seconds: float = 0) -> Iterator[Captured]:
    """Yield packets until *count* of them or *seconds* are over (0: no limit)."""
    deadline = time.monotonic() + seconds if seconds else None
    taken = 0
    while not count or taken < count:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and (left <= 0 or not select.select([ears], [], [], left)[0]):
            return
        yield _received(ears)
        taken += 1


def _received(ears: socket.socket) -> Captured:
    data, ancillary, _, address = ears.recvmsg(SNAPLEN, 64)
    name, protocol, kind, hardware, link_address = address
    when = next((_nanoseconds(item) for _, number, item in ancillary if number == SO_TIMESTAMPNS), time.time_ns())
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        index = 0
    return Captured(when, data, protocol, index, name, kind, hardware, link_address)


def _nanoseconds(data: bytes) -> int:
    seconds, nanoseconds = struct.unpack("=qq", data)
    return int(seconds * 1_000_000_000 + nanoseconds)
