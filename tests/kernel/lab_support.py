"""What the tests of labs share: the command, a state folder of each test's own, the host's state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
NETSIM = (sys.executable, "-m", "netsim")


def netsim(*words: str, code: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run netsim and check its exit code (None: any)."""
    done = subprocess.run((*NETSIM, *words), capture_output=True, text=True, check=False, input=stdin)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def host_state() -> dict[str, str]:
    """Return everything of the host that a lab could disturb."""
    commands = {
        "links": "ip -o link",
        "addresses": "ip -o address",
        "routes": "ip route show table all; ip -6 route show table all",
        "namespaces": "ip netns list",
        "rules": "iptables-save; ip6tables-save; nft list ruleset",
        "sysctls": "sysctl -a 2>/dev/null | grep -E '^net\\.(ipv[46]|bridge|netfilter)' | grep -vE 'count|random'",
        "mounts": "cat /proc/self/mountinfo | cut -d' ' -f4-",
    }
    return {
        name: subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False).stdout
        for name, command in commands.items()
    }
