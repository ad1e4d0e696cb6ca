"""Every recorded look-up of glibc 2.36, musl 1.2.3 and Go, packet by packet, in process and through the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from netsim.cli.main import run
from tests.netsim.dns.dns_recorded import LOOKUPS, RECORDED, opened

# What stands at the recorded nameservers besides the cluster's own: a closed port, nobody, the node's resolver.
SERVERS = {"10.96.0.98": "refused", "10.96.0.99": "silent", "192.168.1.53": "upstream"}
MUSL_RETRY_RACE = ("two-ns-nxdomain", "musl", "servfail.example.net")
"""musl asks two servers at once and resends each failure as it arrives: only the number of packets is reproducible."""

by_config = pytest.mark.parametrize("path", LOOKUPS, ids=lambda path: path.stem)


def query_of(recorded: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    return {
        "lookup": case["name"],
        "libc": case["impl"],
        "api": case["api"],
        "resolvConf": recorded["resolv_conf"],
        "hosts": recorded["hosts"],
        "nsswitch": recorded["nsswitch"],
        "localdomain": recorded["env"].get("LOCALDOMAIN", ""),
        "clientIps": recorded["client_ips"],
    }


def differences(recorded: dict[str, Any], case: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    name = f"{case['impl']} {case['api']} {case['name']}"
    packets = [without_refused(packet) for packet in got["queries"]]
    wanted = [{"rcode": None, "answers": None} | packet for packet in case["queries"] if "q" in packet]
    if (recorded["config"], case["impl"], case["name"]) == MUSL_RETRY_RACE:
        packets, wanted = [{"count": len(packets)}], [{"count": len(wanted)}]
    for number, (packet, want) in enumerate(zip(packets, wanted, strict=False)):
        if packet != want and not unread(packet, want):
            yield f"{name}: packet {number} is {packet}, recorded {want}"
    if len(packets) != len(wanted):
        yield f"{name}: {len(packets)} packets, recorded {len(wanted)}"
    if sorted(got["addresses"]) != sorted(case["result"]["addrs"]):
        yield f"{name}: {got['addresses']}, recorded {case['result']['addrs']}"
    if case["api"] != "srv" and got["addresses"] != case["result"]["addrs"]:
        yield f"{name}: order {got['addresses']}, recorded {case['result']['addrs']}"
    if without_client(got["error"] or "0") != without_client(case["result"]["rc"]):
        yield f"{name}: error {got['error']}, recorded {case['result']['rc']}"
    if "name" in case["result"] and got["canonicalName"] != case["result"]["name"]:
        yield f"{name}: name {got['canonicalName']}, recorded {case['result']['name']}"
    if got["aliases"] != case["result"].get("aliases", got["aliases"]):
        yield f"{name}: aliases {got['aliases']}, recorded {case['result']['aliases']}"


def without_refused(packet: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the recording has as a line of its own: the ICMP error."""
    return {key: value for key, value in packet.items() if key != "refused"}


def unread(packet: dict[str, Any], want: dict[str, Any]) -> bool:
    """Whether only the reply differs and the recording could not read it: a TCP answer in several segments."""
    replies = {"rcode": None, "answers": None}
    return want.get("proto") == "tcp" and want["rcode"] is None and packet | replies == want


def without_client(error: str) -> str:
    """Leave out the client's own address, which was another in the recording's namespace."""
    head, read, rest = error.partition(": read udp ")
    return head + read + rest.partition("->")[2] if read else error


@by_config
def test_command_sends_what_was_recorded(path: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    recorded = json.loads(path.read_text())
    folder = RECORDED / "dns" / recorded["cluster"]
    queries = tmp_path / "queries.jsonl"
    queries.write_text("".join(json.dumps(query_of(recorded, case)) + "\n" for case in recorded["cases"]))
    words = ["dns", "-f", str(folder / "manifests"), "--corefile", str(folder / "corefile")]
    words += ["--upstream", str(folder / "upstream.json"), "--queries", str(queries), "-q"]
    words += [word for server, kind in SERVERS.items() for word in ("--dns-server", f"{server}={kind}")]
    assert run(words) == 0
    answers = [orjson.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert len(answers) == len(recorded["cases"])
    found = [d for case, got in zip(recorded["cases"], answers, strict=True) for d in differences(recorded, case, got)]
    assert found == []


def test_default_places_of_nameservers_are_those_of_the_recording_except_the_closed_port() -> None:
    dns = opened(RECORDED / "dns" / "c01-basic")
    assert {server: dns.place(server) for server in SERVERS} == SERVERS | {"10.96.0.98": "silent"}
    assert dns.place("10.96.0.10") == "coredns"
    assert dns.place("127.0.0.1") == "refused"
