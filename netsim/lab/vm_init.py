"""The first steps inside a lab's virtual machine: file systems, modules, the names of tools. Needs no setuid program.

The guest's root is the host's file system: nothing is written but below /run, a tmpfs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from netsim.lab import kernel

OUTER = Path("/run/outer")
UML_MODULES = "/usr/lib/uml/modules"
MODULES = """
ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sh ip_vs_dh ip_vs_mh ip_vs_sed ip_vs_nq dummy veth bridge br_netfilter
ip_set ip_set_hash_ip ip_set_hash_ipport ip_set_hash_ipportip ip_set_hash_ipportnet ip_set_bitmap_port xt_set xt_ipvs
xt_physdev xt_addrtype xt_mark xt_comment xt_conntrack xt_MASQUERADE xt_recent xt_statistic iptable_nat iptable_filter
iptable_mangle ip6table_nat ip6table_filter ip6table_mangle ipt_REJECT ip6t_REJECT
"""
TOOLS, MODPROBE = Path("/run/tools"), Path("/run/modprobe")
FOLDERS = (OUTER, Path("/run/netsim"), TOOLS, Path("/run/modules/lib"))


def prepare(folder: str) -> None:
    """Make the guest usable; *folder* of the host becomes /run/outer."""
    # In a user namespace the owner of setuid programs is nobody to the guest: without setuid they just run.
    kernel.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_NOSUID)
    kernel.mount("proc", "/proc", "proc")
    kernel.mount("sys", "/sys", "sysfs")
    kernel.mount("tmpfs", "/run", "tmpfs")
    for path in FOLDERS:
        path.mkdir(parents=True)
    kernel.mount("none", str(OUTER), "hostfs", 0, folder)
    load_modules()
    legacy_tools()
    os.environ["PATH"] = f"{TOOLS}:{os.environ['PATH']}"
    os.environ["NETSIM_STATE"] = "/run/netsim"


def load_modules() -> None:
    """Load what ipvs mode needs, and let the kernel find the rest by itself."""
    os.symlink(UML_MODULES, "/run/modules/lib/modules")
    MODPROBE.write_text('#!/bin/sh\nexec modprobe -d /run/modules "$@"\n')
    MODPROBE.chmod(0o755)
    Path("/proc/sys/kernel/modprobe").write_text(f"{MODPROBE}\n")
    subprocess.run((str(MODPROBE), "-q", "-a", *MODULES.split()), check=False)


def legacy_tools() -> None:
    """Let iptables mean iptables-legacy: the kernel's nf_tables has the bridge family only."""
    for tool in ("iptables", "ip6tables"):
        for end in ("", "-restore", "-save"):
            found = shutil.which(f"{tool}-legacy{end}")
            if found:
                (TOOLS / f"{tool}{end}").symlink_to(found)
