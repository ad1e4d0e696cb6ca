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

from netsim.cli.main import run
from netsim.lab import state
from tests.kernel.lab_support import NETSIM, TOPOLOGIES, host_state, netsim

DUAL = str(TOPOLOGIES / "dual-stack")
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
    done = netsim("lab", "verify", "two", "-o", "json", "--random", "60", "--seed", "1")
    findings = json.loads(done.stdout)["findings"]
    assert {finding["result"] for finding in findings} == {"agree"}
    assert len(findings) > 40


def test_two_labs_at_once_do_not_meet_and_a_third_of_a_name_is_refused() -> None:
    for name in ("left", "right"):
        netsim("lab", "up", name, "-q", "-f", DUAL)
    assert "lab right exists" in netsim("lab", "up", "right", "-q", "-f", DUAL, code=3).stderr
    netsim("lab", "down", "left")
    answer = netsim("lab", "exec", "right", "pod/default/client", "--", "curl", "-s", "-m", "3", "http://10.96.7.1/")
    assert "pod/default/web-" in answer.stdout
    assert netsim("lab", "exec", "right", "pod/default/client", "--", "hostname").stdout == "client\n"
    assert netsim("lab", "exec", "right", "node-1", "--", "sh", "-c", "exit 7", code=7).returncode == 7
    assert "did you mean" in netsim("lab", "exec", "right", "node/node-9", "--", "true", code=2).stderr
    assert netsim("lab", "exec", "right", "node/node-1", "--", "no-such-program", code=127).returncode == 127


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


def processes_of(folder: Path) -> set[str]:
    """Return the processes that write to a log below a folder: holders of its labs, and what they started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if os.readlink(path).startswith(str(folder)):
                found.add(path.parts[2])
        except OSError:
            continue
    return found


def up_in_a_child(name: str) -> int:
    """Bring a lab up in a forked process, which starts at once, and return its id."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            os._exit(run(["lab", "up", name, "-q", "-f", str(TOPOLOGIES / "shop")]))
        finally:
            os._exit(70)
    return child


def test_a_kill_at_any_moment_leaves_only_what_down_removes(own_state: Path) -> None:
    before = host_state()
    start = time.monotonic()
    assert os.waitpid(up_in_a_child("killed"), 0)[1] == 0
    whole = time.monotonic() - start
    state.remove("killed")
    chance = random.Random(7)
    came_up = 0
    for number in range(50):
        starting = up_in_a_child("killed")
        time.sleep(chance.uniform(0, 1.2 * whole))
        os.kill(starting, signal.SIGKILL)
        os.waitpid(starting, 0)
        lab = state.peek("killed")
        came_up += lab is not None and lab.ready and bool(processes_of(own_state))
        if number % 10:
            state.remove("killed")
        else:
            netsim("lab", "down", "killed")
        assert not (own_state / "killed").exists()
    assert 0 < came_up < 50
    deadline = time.monotonic() + 5
    while processes_of(own_state) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(own_state) == set()
    assert host_state() == before


def test_killing_the_holder_ends_the_lab(own_state: Path) -> None:
    netsim("lab", "up", "held", "-q", "-f", DUAL)
    holder = json.loads((own_state / "held" / "lab.json").read_text())["holder"]
    os.kill(holder, signal.SIGKILL)
    time.sleep(0.2)
    assert "Dead" in netsim("lab", "ls").stdout
    assert "not running" in netsim("lab", "exec", "held", "node/node-1", "--", "true", code=3).stderr
    netsim("lab", "down", "held")


def test_rootless_labs_answer_too() -> None:
    netsim("lab", "up", "free", "-q", "-f", DUAL, "--rootless")
    answer = netsim("lab", "exec", "free", "pod/default/client", "--", "curl", "-s", "-m", "3", "http://10.96.7.1/")
    assert "pod/default/web-" in answer.stdout
