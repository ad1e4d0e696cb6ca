"""The real iptables-restore accepts what iptables mode writes, and iptables-save prints it back as `-o save` does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.iptables import restore_text, sheet
from iptables_gen.kubeproxy.iptables_saved import save_text, saved_ruleset
from tests.iptables_gen.kubeproxy.recorded_modes import RECORDED, canon, inputs_of

pytestmark = pytest.mark.kernel

CASES = sorted(path.parent.name for path in RECORDED.glob("*/iptables-node-1"))
# Names of chains are arguments of a shell that the test itself wrote; the rules go through standard input only.
LOAD = """
nfacct add ct_state_invalid_dropped_pkts; nfacct add localhost_nps_accepted_pkts
{tool}-restore < {static} && {tool}-restore -w 5 --noflush --counters < {restore} && {tool}-save
"""


def static_part(saved: str) -> str:
    """Return the saved ruleset without what the full sync writes: built-in chains, jumps and the chains they need."""
    lines = []
    for line in saved.splitlines():
        if line.startswith("-A KUBE-") or line.startswith(
            (":KUBE-SEP-", ":KUBE-SVC-", ":KUBE-SVL-", ":KUBE-EXT-", ":KUBE-FW-")
        ):
            continue
        lines.append(line)
    return "\n".join(lines) + "\n"


def loaded(made: ProxyInput, directory: Path) -> str:
    tool = "iptables" if made.family == 4 else "ip6tables"
    written = sheet(made)
    static, restore = directory / f"{tool}.static", directory / f"{tool}.restore"
    static.write_text(static_part(save_text(saved_ruleset(written))))
    restore.write_text(restore_text(written))
    script = LOAD.format(tool=tool, static=static, restore=restore)
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return "".join(line + "\n" for line in done.stdout.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_holds_what_save_prints(case: str, tmp_path: Path) -> None:
    for made in inputs_of(case, "iptables", "node-1"):
        assert canon(loaded(made, tmp_path)) == canon(save_text(saved_ruleset(sheet(made))))
