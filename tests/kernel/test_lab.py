"""The lab on the real kernel: it comes up, agrees with the model, and nothing of it is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.kernel.lab_support import NETSIM, TOPOLOGIES, host_state, netsim

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("own_state")]


def test_a_lab_comes_up_answers_and_leaves_nothing(own_state: Path) -> None:
    before = host_state()
    netsim("lab", "up", "one", "-f", str(TOPOLOGIES / "shop"))
    answer = netsim("lab", "exec", "one", "pod/shop/frontend-0", "--", "curl", "-s", "-m", "3", "http://10.96.20.1/")
    assert json.loads(answer.stdout)["pod"].startswith("pod/shop/api-")
    assert "one" in netsim("lab", "ls").stdout
    assert "node/node-3" in netsim("lab", "ps", "one").stdout
    netsim("lab", "down", "one")
    assert host_state() == before
    assert list(own_state.iterdir()) == []


@pytest.mark.parametrize("topology", ["shop", "dual-stack", "broken"])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_model_and_kernel_agree(topology: str, mode: str) -> None:
    netsim("lab", "up", "two", "-f", str(TOPOLOGIES / topology), "--proxy-mode", mode)
    done = netsim("lab", "verify", "two", "-o", "json", "--random", "150", "--seed", "1")
    findings = json.loads(done.stdout)["findings"]
    assert {finding["result"] for finding in findings} == {"agree"}
    assert len(findings) > 40


def test_two_labs_at_once_do_not_meet() -> None:
    for name in ("left", "right"):
        netsim("lab", "up", name, "-f", str(TOPOLOGIES / "shop"))
    netsim("lab", "down", "left")
    answer = netsim("lab", "exec", "right", "pod/shop/api-0", "--", "curl", "-s", "-m", "3", "http://10.96.20.2/")
    assert "frontend" in answer.stdout


def test_a_second_lab_of_a_name_is_refused_and_the_first_lives() -> None:
    netsim("lab", "up", "same", "-f", str(TOPOLOGIES / "shop"))
    assert "lab same exists" in netsim("lab", "up", "same", "-f", str(TOPOLOGIES / "shop"), code=3).stderr
    assert "Ready" in netsim("lab", "ls").stdout


def test_what_cannot_come_up_is_rolled_back(own_state: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "iptables-restore").write_text("#!/bin/sh\necho 'no such table' >&2\nexit 2\n")
    (tools / "iptables-restore").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = (*NETSIM, "lab", "up", "bad", "-f", str(TOPOLOGIES / "shop"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert "no such table" in done.stderr
    assert list(own_state.iterdir()) == []


def test_a_missing_tool_names_its_package(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    environment = {**os.environ, "PATH": str(tools)}
    command = (*NETSIM, "lab", "up", "bare", "-f", str(TOPOLOGIES / "shop"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert "Debian package" in done.stderr


def holders() -> set[str]:
    """Command lines of processes that look like a lab's holder."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"lab" in words and b"killed" in words:
            found.add(path.parent.name)
    return found


def test_a_kill_at_any_moment_leaves_only_what_down_removes(own_state: Path) -> None:
    before = host_state()
    chance = random.Random(7)
    for _ in range(50):
        command = (*NETSIM, "lab", "up", "killed", "-f", str(TOPOLOGIES / "shop"))
        starting = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.05, 0.8))
        starting.send_signal(signal.SIGKILL)
        starting.wait()
        netsim("lab", "down", "killed")
        assert not (own_state / "killed").exists()
    deadline = time.monotonic() + 5
    while holders() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert holders() == set()
    assert host_state() == before


def test_killing_the_holder_ends_the_lab(own_state: Path) -> None:
    netsim("lab", "up", "held", "-f", str(TOPOLOGIES / "shop"))
    holder = json.loads((own_state / "held" / "lab.json").read_text())["holder"]
    os.kill(holder, signal.SIGKILL)
    time.sleep(0.2)
    assert "Dead" in netsim("lab", "ls").stdout
    assert "not running" in netsim("lab", "exec", "held", "node/node-1", "--", "true", code=3).stderr
    netsim("lab", "down", "held")


def test_rootless_labs_answer_too() -> None:
    netsim("lab", "up", "free", "-f", str(TOPOLOGIES / "shop"), "--rootless")
    answer = netsim("lab", "exec", "free", "pod/shop/frontend-0", "--", "curl", "-s", "-m", "3", "http://10.96.20.1/")
    assert "pod/shop/api-" in answer.stdout


def test_exit_codes_and_standard_streams_of_exec() -> None:
    netsim("lab", "up", "codes", "-f", str(TOPOLOGIES / "shop"))
    assert netsim("lab", "exec", "codes", "node-1", "--", "sh", "-c", "exit 7", code=7).returncode == 7
    assert "did you mean" in netsim("lab", "exec", "codes", "node/node-9", "--", "true", code=2).stderr
    assert netsim("lab", "exec", "codes", "node/node-1", "--", "no-such-program", code=127).returncode == 127
