"""A kernel with IPVS (user-mode Linux) loads what ipvs mode compiles and gives it back.

One boot loads every recorded node, one after another, and prints what the kernel then holds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from iptables_gen.kubeproxy.ipvs import compile_input
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.text import render
from tests.iptables_gen.kubeproxy.recorded_modes import RECORDED, canon, inputs_of, recorded_nodes

pytestmark = pytest.mark.uml
NODES = recorded_nodes("ipvs")
MODULES = (
    "ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh ip_vs_mh dummy ip_set ip_set_hash_ip ip_set_hash_ipport ip_set_hash_ipportip "
    "ip_set_hash_ipportnet ip_set_bitmap_port xt_set xt_ipvs xt_physdev xt_addrtype xt_mark xt_comment xt_conntrack "
    "xt_MASQUERADE iptable_nat iptable_filter ip6table_nat ip6table_filter ipt_REJECT ip6t_REJECT"
)

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/modules/lib
ln -s /usr/lib/uml/modules /run/modules/lib/modules
cd {folder}
printf '#!/bin/sh\\nexec /sbin/modprobe -d /run/modules "$@"\\n' > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
for module in {modules}; do modprobe -d /run/modules $module || echo "no $module"; done > modules.txt 2>&1
for node in */; do
  cd $node
  {{
    ip link add kube-ipvs0 type dummy
    ip -batch addresses.batch
    ipset restore < ipset.save
    ipvsadm -R < ipvsadm.save
    iptables-legacy-restore < iptables.loaded
    ip6tables-legacy-restore < ip6tables.loaded
    iptables-legacy-restore --noflush --counters < iptables.restore
    ip6tables-legacy-restore --noflush --counters < ip6tables.restore
    ip -o addr show dev kube-ipvs0 > addrs.txt
    ipvsadm -Sn > ipvsadm.txt
    ipset save > ipset.txt
    iptables-legacy-save > iptables-save.txt
    ip6tables-legacy-save > ip6tables-save.txt
    for table in nat filter; do iptables-legacy -t $table -F; iptables-legacy -t $table -X; done
    for table in nat filter; do ip6tables-legacy -t $table -F; ip6tables-legacy -t $table -X; done
    ipvsadm -C
    ipset destroy
    ip link del kube-ipvs0
  }} > log.txt 2>&1
  cd ..
done
/sbin/poweroff -f
"""


def lines(text: str) -> list[str]:
    return sorted(" ".join(line.split()) for line in text.splitlines() if line.strip() and line[0] != "#")


def zeroed(text: str) -> str:
    """Return saved rules without comment lines, counters zero, as the recordings are."""
    kept = (line.split(" [")[0] + " [0:0]" if line[:1] == ":" else line for line in text.splitlines())
    return "\n".join(line for line in kept if line[:1] != "#") + "\n"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which a booted kernel has left what it held for every node."""
    folder = tmp_path_factory.mktemp("uml")
    for case, node in NODES:
        write_input(folder / f"{case}.{node}", case, node)
    init = folder / "init.sh"
    init.write_text(INIT.format(folder=folder, modules=MODULES))
    init.chmod(0o755)
    command = ["linux.uml", "mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}"]
    with (folder / "console.txt").open("w") as console:
        subprocess.run(
            [*command, "con=null", "con0=fd:0,fd:1", "quiet"],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=300, check=False,
        )  # fmt: skip
    assert (folder / "modules.txt").exists(), (folder / "console.txt").read_text()
    return folder


def write_input(target: Path, case: str, node: str) -> None:
    target.mkdir()
    programs = [compile_input(one) for one in inputs_of(case, "ipvs", node)]
    for name in ("ipvsadm.save", "ipset.save"):
        (target / name).write_text("".join(program.render()[name] for program in programs))
    addresses = [address for program in programs for address in program.bound_addresses]
    (target / "addresses.batch").write_text("".join(f"addr add {a} dev kube-ipvs0\n" for a in addresses))
    for tool, program in zip(("iptables", "ip6tables"), programs, strict=True):
        (target / f"{tool}.restore").write_text(program.render()[f"{tool}.restore"])
        (target / f"{tool}.loaded").write_text(render(program.ruleset, Style.RESTORE))


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_the_kernel_gives_back_what_was_recorded(kernel: Path, case: str, node: str) -> None:
    held, recorded = kernel / f"{case}.{node}", RECORDED / case / f"ipvs-{node}"
    assert (held / "log.txt").read_text() == ""
    for name in ("ipvsadm.txt",):
        assert lines((held / name).read_text()) == lines((recorded / name).read_text())
    # The hash function's seed is part of `ipset save` and was left out of the recordings.
    sets = [line.split(" initval")[0] for line in lines((held / "ipset.txt").read_text())]
    assert sets == lines((recorded / "ipset.txt").read_text())
    addresses = [
        line.split("\\")[0].split(": ", 1)[1] for line in lines((held / "addrs.txt").read_text()) if "inet" in line
    ]
    ours = [line for line in addresses if "fe80" not in line]
    assert [line.strip() for line in ours] == lines((recorded / "addrs.txt").read_text())


@pytest.mark.parametrize(("case", "node"), NODES, ids=lambda value: value)
def test_iptables_holds_what_was_recorded(kernel: Path, case: str, node: str) -> None:
    held, recorded = kernel / f"{case}.{node}", RECORDED / case / f"ipvs-{node}"
    for name in ("iptables-save.txt", "ip6tables-save.txt"):
        assert canon(zeroed((held / name).read_text())) == canon((recorded / name).read_text())
