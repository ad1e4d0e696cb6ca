"""The lab for a user who is nobody: chosen by itself, the same answers, and clear words where it cannot be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.lab_support import NETSIM, TOPOLOGIES, host_state

pytestmark = pytest.mark.kernel
NOBODY = 65534
DROP = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
SHOP = str(TOPOLOGIES / "shop")


def search_path() -> str:
    places = [path for path in sys.path if path.endswith("site-packages")]
    return os.pathsep.join((str(TOPOLOGIES.parent), *places))


class Nobody:
    """Runs netsim as an unprivileged user with a home of its own."""

    def __init__(self, python: str, home: Path) -> None:
        self.python = python
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": search_path(),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = (*DROP, self.python, *words)
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment, cwd="/")

    def netsim(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self.run("-m", "netsim", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """Return a user, skipping with the reason where no interpreter can be run as that user."""
    home = Path("/tmp") / f"netsim-nobody-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    why = []
    try:
        for python in (sys.executable, "/usr/bin/python3"):
            user = Nobody(python, home)
            try:
                tried = user.run(
                    "-c", "import netsim.cli.main, orjson, msgspec, pyroute2, dns.message, yaml, rich, jinja2"
                )
            except OSError as error:
                why.append(f"{python}: {error}")
                continue
            if tried.returncode == 0:
                yield user
                for lab in (home / "netsim").glob("*"):
                    user.netsim("lab", "down", lab.name)
                return
            why.append(f"{python}: {(tried.stderr.strip().splitlines() or ['?'])[-1]}")
        pytest.skip(f"no interpreter that an unprivileged user can run: {'; '.join(why)}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_an_unprivileged_user_has_the_same_lab(nobody: Nobody) -> None:
    before = host_state()
    nobody.netsim("lab", "up", "mine", "-q", "-f", SHOP)
    exec_ = ("lab", "exec", "mine")
    answer = nobody.netsim(*exec_, "pod/shop/frontend-0", "--", "curl", "-s", "-m", "3", "http://api/")
    assert json.loads(answer.stdout)["pod"].startswith("pod/shop/api-")
    web = nobody.netsim(*exec_, "external", "--", "curl", "-s", "-m", "3", "http://shop.example.com/api")
    assert json.loads(web.stdout)["pod"].startswith("pod/shop/api-")
    done = nobody.netsim("lab", "verify", "mine", "-o", "json", "--rules", "--random", "60", "--seed", "2")
    answer_ = json.loads(done.stdout)
    assert {finding["result"] for finding in answer_["findings"]} == {"agree"}
    assert (answer_["rules"]["packets"], answer_["rules"]["differ"]) == (60, [])
    nobody.netsim("lab", "apply", "mine", "-q", "-f", SHOP, "--not-ready", "pod/shop/api-0")
    assert "packets" in nobody.netsim("lab", "capture", "mine", "node/node-1", "--seconds", "0.2").stderr
    nobody.netsim("lab", "down", "mine")
    assert host_state() == before


def test_nftables_and_both_families_too(nobody: Nobody) -> None:
    dual = str(TOPOLOGIES / "dual-stack")
    nobody.netsim("lab", "up", "dual", "-q", "-f", dual, "--proxy-mode", "nftables")
    nobody.netsim("lab", "verify", "dual", "--rules")


def test_no_user_namespaces_is_said_with_the_sysctls_that_forbid_them(own_state: Path) -> None:
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    command = ("unshare", "--user", "--map-root-user", "sh", "-c", forbid, *NETSIM, "lab", "up", "no", "--rootless")
    done = subprocess.run((*command, "-q", "-f", SHOP), capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "user.max_user_namespaces" in done.stderr
    assert not own_state.exists() or list(own_state.iterdir()) == []


def test_root_without_the_capability_is_told_which(own_state: Path) -> None:
    command = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *NETSIM, "lab", "up", "no", "-q")
    done = subprocess.run((*command, "-f", SHOP), capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "CAP_SYS_ADMIN is needed, or --rootless" in done.stderr
    assert list(own_state.iterdir()) == []
