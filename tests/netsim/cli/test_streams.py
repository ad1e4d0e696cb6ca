"""The installed command and its standard streams: full disks, readers that leave, closed descriptors, odd bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOP = str(ROOT / "topologies" / "shop")
NETSIM = [sys.executable, "-c", "from netsim.cli.main import main; main()"]
PODS = [*NETSIM, "get", "-f", SHOP, "pods", "-A"]


def shell(line: str, *, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which "$@" is the command that lists the shop's pods."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *PODS],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        pytest.param('"$@" > /dev/full', 3, "cannot write the answer: No space left on device", id="full-disk"),
        pytest.param('"$@" >&-', 3, "standard output is closed", id="closed-stdout"),
        pytest.param('"$@" -o json | head -1; exit ${PIPESTATUS[0]}', 0, "", id="a-reader-that-leaves"),
        pytest.param('"$@" 2>&-', 0, "", id="closed-stderr"),
        pytest.param('"$@" 2>/dev/full', 0, "", id="full-stderr"),
        pytest.param('"$@" <&-', 0, "", id="closed-stdin"),
        pytest.param('"$@" <&- >&- 2>&-', 3, "", id="everything-closed"),
        pytest.param('"$@" -f - <&-', 0, "<stdin>:1:1: no objects in it", id="closed-stdin-as-input"),
        pytest.param("\"$@\" -f $'\\xff.yaml'", 2, "is not UTF-8 text", id="an-argument-that-is-no-text"),
        pytest.param("\"$@\" -o $'\\e[31m'", 2, r"'\x1b[31m' is not one of", id="an-escape-in-an-option"),
    ],
)
def test_streams_and_arguments_end_with_the_contracts_code(line: str, code: int, said: str) -> None:
    done = shell(line)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_stderr_keeps_the_answer() -> None:
    assert "frontend-0" in shell('"$@" 2>&-').stdout


def test_quiet_says_nothing_and_no_color_is_obeyed() -> None:
    done = shell('"$@" -q', NO_COLOR="1")
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


def test_text_is_utf8_in_every_locale(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {b: 日本}}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [*NETSIM, "get", "-q", "-f", str(tmp_path), "cm", "-o", "json"],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert "日本".encode() in done.stdout


def test_a_file_name_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/a\xff.yaml", "wb") as file:
        file.write(b"kind: Service\n")
    done = subprocess.run(
        [*NETSIM, "validate", "-f", str(tmp_path), "-o", "json"], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b"a\\\\xff.yaml" in done.stdout


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    running = subprocess.Popen(
        [*NETSIM, "get", "-f", str(tmp_path / "a.yaml"), "pods"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert (out, err.strip()) == (b"", b"")
