"""System calls that Python 3.11 lacks, through ctypes: namespaces, mounts, prctl. OSErrors name the call."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
MS_NOSUID = 0x2
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
PR_SET_PDEATHSIG = 1


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc().unshare(flags), "unshare")


def enter(descriptor: int, kind: int = CLONE_NEWNET) -> None:
    """setns(2): the calling thread moves into a namespace."""
    _checked(_libc().setns(descriptor, kind), "setns")


def new_network() -> int:
    """Make a network namespace, stay in it, and return a descriptor that keeps it alive."""
    unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = (source.encode(), target.encode(), kind.encode())
    _checked(_libc().mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def die_with_parent(signal: int) -> None:
    """prctl(PR_SET_PDEATHSIG): send this process *signal* when its parent ends."""
    _checked(_libc().prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def map_root(uid: int, gid: int) -> None:
    """Inside a new user namespace, become its root (user_namespaces(7))."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
