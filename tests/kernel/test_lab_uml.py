"""A lab in user-mode Linux: ipvs mode on a kernel that has IPVS, from the same commands."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netsim.lab.vm import boot_command, init_script
from tests.kernel.lab_support import TOPOLOGIES, netsim

pytestmark = pytest.mark.uml


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab `ipvs` of topologies/shop that the tests share."""
    folder = tmp_path_factory.mktemp("uml") / "labs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STATE", str(folder))
        netsim("lab", "up", "ipvs", "-q", "-f", str(TOPOLOGIES / "shop"), "--proxy-mode", "ipvs", "--vm", "uml")
        yield folder
        netsim("lab", "down", "ipvs")


@pytest.fixture
def shop(shop_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETSIM_STATE", str(shop_folder))
    return shop_folder


@pytest.mark.usefixtures("shop")
def test_commands_run_in_the_guest_with_their_exit_codes() -> None:
    assert "Ready (uml)" in netsim("lab", "ls").stdout
    answer = netsim("lab", "exec", "ipvs", "pod/shop/frontend-0", "--", "curl", "-s", "-m", "5", "http://api/")
    assert json.loads(answer.stdout)["pod"].startswith("pod/shop/api-")
    assert "TCP  10.96.20.1:80 rr" in netsim("lab", "exec", "ipvs", "node-1", "--", "ipvsadm", "-Ln").stdout
    done = netsim("lab", "exec", "ipvs", "node/node-1", "--", "sh", "-c", "echo wrong >&2; exit 7", code=7)
    assert done.stderr == "wrong\n"
    assert "did you mean" in netsim("lab", "exec", "ipvs", "node/node-9", "--", "true", code=2).stderr
    assert "no rule trace" in netsim("lab", "trace", "ipvs", "node/node-1", "svc/shop/api:80", code=3).stderr


@pytest.mark.usefixtures("shop")
def test_model_and_kernel_agree_in_ipvs_mode_before_and_after_a_change() -> None:
    done = netsim("lab", "verify", "ipvs", "-o", "json", "--random", "50", "--seed", "1")
    findings = json.loads(done.stdout)["findings"]
    assert {finding["result"] for finding in findings} == {"agree"}
    assert len(findings) == 50
    shop = str(TOPOLOGIES / "shop")
    netsim("lab", "apply", "ipvs", "-q", "-f", shop, "--not-ready", "pod/shop/api-0", "--not-ready", "pod/shop/db-0")
    done = netsim("lab", "verify", "ipvs", "-o", "json", "--random", "30", "--seed", "2")
    assert {finding["result"] for finding in json.loads(done.stdout)["findings"]} == {"agree"}


@pytest.mark.usefixtures("shop")
def test_a_second_lab_of_the_name_is_refused() -> None:
    words = ("-f", str(TOPOLOGIES / "shop"), "--proxy-mode", "ipvs", "--vm", "uml")
    assert "lab ipvs exists" in netsim("lab", "up", "ipvs", "-q", *words, code=3).stderr


def test_killing_the_holder_ends_the_machine(own_state: Path) -> None:
    dual = str(TOPOLOGIES / "dual-stack")
    netsim("lab", "up", "held", "-q", "-f", dual, "--proxy-mode", "ipvs", "--vm", "uml")
    netsim("lab", "verify", "held", "--random", "15")
    holder = json.loads((own_state / "held" / "lab.json").read_text())["holder"]
    os.kill(holder, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while machines(own_state) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert machines(own_state) == []
    assert "Dead" in netsim("lab", "ls").stdout
    netsim("lab", "down", "held")
    assert list(own_state.iterdir()) == []


def machines(folder: Path) -> list[str]:
    """Return the processes of user-mode Linux that were booted from a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"linux.uml" in words and str(folder).encode() in words:
            found.append(path.parent.name)
    return found


def test_without_a_machine_a_kernel_without_ipvs_is_said(own_state: Path) -> None:
    if Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has IPVS")
    words = ("-q", "-f", str(TOPOLOGIES / "shop"), "--proxy-mode", "ipvs")
    assert "--vm uml" in netsim("lab", "up", "no", *words, code=3).stderr
    assert not own_state.exists()


def test_a_missing_machine_names_its_package(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    words = ("-q", "-f", str(TOPOLOGIES / "shop"), "--proxy-mode", "ipvs", "--vm", "uml")
    assert "Debian package user-mode-linux" in netsim("lab", "up", "no", *words, code=3).stderr


def test_names_in_the_first_program_are_quoted() -> None:
    script = init_script(("/opt/a b/python", "-m", "agent", "$(id)"), {"PYTHONPATH": "x; reboot"})
    assert "exec '/opt/a b/python' -m agent '$(id)'" in script
    assert "PYTHONPATH='x; reboot'" in script
    assert "init=/run/x/init.sh" in boot_command(Path("/run/x/init.sh"))
