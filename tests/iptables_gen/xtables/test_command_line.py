"""`python -m iptables_gen` on dumps alone."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from iptables_gen.__main__ import main
from tests.iptables_gen.xtables.xtables_views import RECORDED

SINK = RECORDED / "099-kitchen-sink"
SAVE = str(SINK / "iptables-node-1" / "iptables-save.txt")
RESTORE = str(SINK / "iptables-node-1" / "restore-input.txt")
NFT = str(SINK / "nftables-node-1" / "nft.txt")

Capture = pytest.CaptureFixture[str]


def test_fmt_prints_a_dump_again(capsys: Capture) -> None:
    assert main(["fmt", SAVE]) == 0
    assert capsys.readouterr().out == Path(SAVE).read_text()
    assert main(["fmt", RESTORE, "--style", "restore"]) == 0
    assert capsys.readouterr().out == Path(RESTORE).read_text()


def test_fmt_reads_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"*raw\n-A OUTPUT -p 6 -j NOTRACK\n")))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j NOTRACK\nCOMMIT\n"


def test_fmt_and_eval_know_nft(capsys: Capture) -> None:
    assert main(["fmt", NFT]) == 0
    assert capsys.readouterr().out.startswith("table ip kube-proxy {")
    assert main(["eval", NFT, "--hook", "prerouting", "--packet", "tcp 10.244.1.9:1 > 10.96.12.1:80"]) == 0
    assert "1/2  ACCEPT  tcp 10.244.1.9:1 > 10.244.1.20:8080" in capsys.readouterr().out


def test_render_prints_what_loads_the_rules(capsys: Capture) -> None:
    assert main(["render", SAVE]) == 0
    assert capsys.readouterr().out == Path(SAVE).read_text()


def test_explain(capsys: Capture) -> None:
    assert main(["explain", SAVE, "KUBE-MARK-MASQ"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nat: -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"
    assert len(lines) > 10
    assert all("-j KUBE-MARK-MASQ" in line for line in lines[1:])
    assert main(["explain", SAVE, "KUBE-NOWHERE"]) == 1
    assert "no chain, set or map is called KUBE-NOWHERE" in capsys.readouterr().err


def test_eval_shows_every_outcome(capsys: Capture) -> None:
    words = ["--packet", "tcp 198.51.100.9:1234 > 10.96.12.1:80", "-i", "eth0"]
    assert main(["eval", SAVE, "--hook", "prerouting", *words]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "tcp 198.51.100.9:1234 > 10.96.12.1:80  at PREROUTING"
    assert "\n1/2  ACCEPT  tcp 198.51.100.9:1234 > 10.244.1.20:8080 mark 0x4000\n" in out
    assert "\n1/2  ACCEPT  tcp 198.51.100.9:1234 > 10.244.2.20:8080 mark 0x4000\n" in out
    assert "    mark becomes 0x4000\n" in out
    assert "    destination becomes 10.244.1.20:8080\n" in out
    assert "=> JUMP KUBE-SEP-YIKJPTGO3LAL5X5H [1/2]\n" in out


ASKED = [
    ("forward", "tcp 10.0.0.1:1 > 10.96.12.5:80", [], "1  REJECT (icmp-port-unreachable)"),
    ("forward", "tcp 10.0.0.1:1 > 10.0.0.2:80", ["--ct-state", "invalid"], "1  DROP  tcp"),
    ("postrouting", "tcp 10.0.0.1:1 > 10.0.0.2:80", ["--mark", "0x4000"], "source becomes the address of"),
    ("prerouting", "tcp 10.0.0.1:1 > 192.168.10.1:31080", ["--local", "eth0=192.168.10.1/24"], "=> JUMP KUBE-EXT-"),
    ("prerouting", "tcp 10.0.0.1:1 > 127.0.0.1:31080", [], "=> JUMP KUBE-EXT-"),
    (
        "prerouting",
        "tcp 10.0.0.1:1 > 10.96.12.1:80",
        ["--ct-state", "established"],
        "1  ACCEPT  tcp 10.0.0.1:1 >",
    ),
    ("prerouting", "udp 10.0.0.1:1 > 10.96.12.1:80", ["--table", "raw"], "no base chain with rules is hooked there"),
    ("prerouting", "icmp 10.0.0.1 > 10.96.12.1", [], "1  ACCEPT  icmp 10.0.0.1 > 10.96.12.1"),
    ("prerouting", "tcp 10.244.9.9:1 > 10.96.12.2:7070", [], "10.244.9.9 is remembered in KUBE-SEP-"),
]


@pytest.mark.parametrize(("hook", "words", "options", "want"), ASKED)
def test_eval_of_other_packets(hook: str, words: str, options: list[str], want: str, capsys: Capture) -> None:
    assert main(["eval", SAVE, "--hook", hook, "--packet", words, *options]) == 0
    assert want in capsys.readouterr().out


def test_eval_of_ipv6(capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("*nat\n-A PREROUTING -p udp -j DNAT --to-destination [fd00::5]:53\nCOMMIT\n")
    assert main(["eval", str(file), "--hook", "PREROUTING", "--packet", "udp [fd00::1]:9 > [fd00::2]:53"]) == 0
    assert "1  ACCEPT  udp [fd00::1]:9 > [fd00::5]:53" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "want"),
    [
        ("-A INPUT -m time --timestart 08:00 -j DROP", "1  UNDETERMINED (the model cannot tell whether"),
        ("-A INPUT -m limit --limit 1/s -j DROP", "assumed (RATE_LIMIT): the rate limit is not exceeded: -m limit"),
        ("-A INPUT -j LOG", "filter: -A INPUT -j LOG  => LOG"),
    ],
)  # fmt: skip
def test_eval_says_what_it_does_not_know(rule: str, want: str, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text(f"*filter\n{rule}\nCOMMIT\n")
    assert main(["eval", str(file), "--hook", "INPUT", "--packet", "tcp 10.0.0.1:1 > 10.0.0.2:80"]) == 0
    assert want in capsys.readouterr().out


PACKETS = [
    ("tcp 10.0.0.1 > 10.0.0.2", "tcp needs a destination port"),
    ("tcp 10.0.0.1:1 10.0.0.2:2", "write it as 'tcp 10.0.0.1:1234 > 10.96.0.10:80'"),
    ("tcp 10.0.0.1:1 > [fd00::1]:2", "one address is IPv4, the other IPv6"),
    ("tcp 10.0.0.1:1 > 10.0.0.2:99999", "a port is at most 65535"),
    ("tcp 10.0.0.x:1 > 10.0.0.2:80", "does not appear to be an IPv4 or IPv6 address"),
]


@pytest.mark.parametrize(("words", "problem"), PACKETS)
def test_packets_that_are_none(words: str, problem: str, capsys: Capture) -> None:
    assert main(["eval", SAVE, "--hook", "INPUT", "--packet", words]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("garbage\n", "neither the output of iptables-save"),
        ("*filter\n-A FOO -p tpc\n", "2:11: unknown protocol 'tpc'\n  -A FOO -p tpc\n            ^\n"),
        ("", "neither the output of iptables-save"),
        ("*nat\n\udcff\udcfe\n", "is not -A, -N, -F or -X"),
    ],
)
def test_files_that_are_no_rules(text: str, problem: str, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["fmt", str(file)]) == 2
    assert problem in capsys.readouterr().err


def test_files_that_are_not_there(capsys: Capture, tmp_path: Path) -> None:
    assert main(["fmt", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none'}: No such file or directory\n"


@pytest.mark.parametrize("words", [[], ["what"], ["eval", SAVE], ["fmt", SAVE, "--style", "x"]])
def test_bad_usage_exits_with_two(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("--mark", "0x100000000"), ("--mark", "x"), ("--local", "eth0")])
def test_bad_values_exit_with_two(option: str, value: str, capsys: Capture) -> None:
    words = ["--hook", "INPUT", "--packet", "tcp 10.0.0.1:1 > 10.0.0.2:80", option, value]
    assert main(["eval", SAVE, *words]) == 2
    assert capsys.readouterr().err


def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "iptables_gen", "fmt", SAVE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, Path(SAVE).read_text())
