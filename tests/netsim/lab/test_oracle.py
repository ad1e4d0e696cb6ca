"""The kernel's trace messages become steps; packets are told apart by what no translation changes."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.lab import oracle
from netsim.lab.names import IDENTITY_QUERY
from netsim.lab.oracle import KernelStep, RuleBook
from netsim.lab.probe import QUESTION, Probe
from netsim.lab.ruletexts import nft_texts, xtables_texts
from netsim.lab.sidebyside import kernel_verdict
from netsim.lab.tracing import port_of, recognisable


def attribute(number: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), number) + data + bytes(-len(data) % 4)


def headers(
    source: str = "10.0.0.1", sport: int = 1000, token: bytes = b"\1\2\3\4", protocol: int = 6
) -> dict[int, bytes]:
    network = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 60, 7, 0, 64, protocol, 0, _ip(source), _ip("10.96.0.1"))
    rest = token.ljust(8, b"\0") if protocol == 6 else struct.pack("!HH", 20, 0) + token.ljust(12, b"\0")
    return {oracle.NETWORK_HEADER: network, oracle.TRANSPORT_HEADER: struct.pack("!HH", sport, 80) + rest}


def _ip(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def message(
    chain: str, code: int = -1, *, kind: int = 3, handle: int = 5, identity: int = 9, target: str = "",
    table: str = "nat", more: Mapping[int, bytes] | None = None, family: int = 2,
) -> bytes:  # fmt: skip
    inner = attribute(1, struct.pack("!i", code)) + (attribute(2, target.encode() + b"\0") if target else b"")
    fields = {
        oracle.TABLE: table.encode() + b"\0",
        oracle.CHAIN: chain.encode() + b"\0",
        oracle.KIND: struct.pack("!I", kind),
        oracle.IDENTITY: struct.pack("!I", identity),
        oracle.VERDICT: inner,
        **({oracle.HANDLE: struct.pack("!Q", handle)} if handle else {}),
        **(more or {}),
    }
    return bytes((family, 0, 0, 0)) + b"".join(attribute(number, data) for number, data in fields.items())


@pytest.mark.parametrize(
    ("code", "target", "want"),
    [
        pytest.param(-3, "KUBE-SERVICES", "JUMP KUBE-SERVICES", id="jump"),
        pytest.param(-4, "service-X", "GOTO service-X", id="goto"),
        pytest.param(-5, "", "RETURN", id="return"),
        pytest.param(-1, "", "CONTINUE", id="continue"),
        pytest.param(0, "", "DROP", id="drop"),
        pytest.param(1, "", "ACCEPT", id="accept"),
    ],
)
def test_verdicts_by_name(code: int, target: str, want: str) -> None:
    event = oracle.event_of(message("C", code, target=target))
    assert event is not None
    assert (event.chain, event.kind, event.handle, event.verdict) == ("C", "rule", 5, want)


def test_a_rule_without_a_handle_is_the_end_of_a_chain() -> None:
    event = oracle.event_of(message("C", handle=0))
    assert event is not None
    assert event.kind == "return"


@pytest.mark.parametrize(
    "data", [message("C", table=oracle.OWN_TABLE), message("C", family=7)], ids=["own-table", "bridge"]
)
def test_what_is_not_the_nodes_own_is_left_out(data: bytes) -> None:
    assert oracle.event_of(data) is None


def test_two_packets_at_once_are_told_apart_across_translation() -> None:
    first, second = headers(token=b"aaaa"), headers(sport=1001, token=b"bbbb")
    after = headers(source="192.0.2.9", sport=4000, token=b"aaaa")
    events = [
        oracle.event_of(message("PREROUTING", identity=1, handle=1, more=first)),
        oracle.event_of(message("PREROUTING", identity=2, handle=1, more=second)),
        oracle.event_of(message("A", identity=1, handle=2)),
        oracle.event_of(message("B", 0, identity=2, handle=3)),
        oracle.event_of(message("POSTROUTING", identity=7, handle=4, more=after)),
    ]
    runs = oracle.runs(event for event in events if event)
    book = RuleBook({(4, "nat", "A", 2): "-A A -j RETURN"})
    token = oracle.token_of(runs, 6, _ip("10.0.0.1"), 1000)
    assert token == b"aaaa"
    chains = [step.chain for step in oracle.steps(runs, token, book)]
    assert chains == ["PREROUTING", "A", "POSTROUTING"]
    assert oracle.steps(runs, token, book)[1] == KernelStep("nat", "A", "-A A -j RETURN", "CONTINUE")
    other = oracle.token_of(runs, 6, _ip("10.0.0.1"), 1001)
    assert other == b"bbbb"
    assert [step.rule for step in oracle.steps(runs, other, book)] == ["handle 1", "handle 3"]
    assert oracle.token_of(runs, 6, _ip("10.0.0.1"), 2222) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_decoding_fail(data: bytes) -> None:
    for _, payload in oracle.messages(data):
        oracle.attributes(payload)
    assert oracle.flight_of(4, data[:20], data[20:40]) is None or len(data) >= 28


def test_handles_and_texts_meet_in_the_kernels_order() -> None:
    rules = "-A PREROUTING -j X\n-A X -d 10.0.0.1/32 -j RETURN\n-A X -j DROP\n"
    saved = f"*nat\n:PREROUTING ACCEPT [0:0]\n:X - [0:0]\n{rules}COMMIT\n"
    listed = """table ip kube-proxy {
\tchain services {
\t\tip daddr . meta l4proto . th dport vmap @service-ips
\t\tip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
\t}
}
"""
    handles = [(4, "nat", "PREROUTING", 8), (4, "nat", "X", 9), (4, "nat", "X", 12), (4, "kube-proxy", "services", 3)]
    book = oracle.book_of(handles, {**xtables_texts(saved, 4), **nft_texts(listed)})  # type: ignore[arg-type]
    assert book.texts == {
        (4, "nat", "PREROUTING", 8): "-A PREROUTING -j X",
        (4, "nat", "X", 9): "-A X -d 10.0.0.1/32 -j RETURN",
        (4, "nat", "X", 12): "-A X -j DROP",
        (4, "kube-proxy", "services", 3): "ip daddr . meta l4proto . th dport vmap @service-ips",
    }


@pytest.mark.parametrize(
    ("model", "kernel"),
    [
        ("JUMP KUBE-SVC-X", "JUMP KUBE-SVC-X"),
        ("GOTO service-X", "GOTO service-X"),
        ("DNAT 10.0.0.1:80", "ACCEPT"),
        ("MASQUERADE", "ACCEPT"),
        ("REJECT icmp-port-unreachable", "DROP"),
        ("MARK 0x4000", "CONTINUE"),
        ("UPDATE @affinity-X", "CONTINUE"),
        ("RETURN", "RETURN"),
    ],
)
def test_the_models_verdicts_in_the_kernels_words(model: str, kernel: str) -> None:
    assert kernel_verdict(model) == kernel


def test_udp_probes_begin_differently_and_ports_are_not_used_again_soon() -> None:
    plain = [recognisable(Probe("n", "10.0.0.1", 53, "udp"), n).question for n in range(50)]
    dns = [recognisable(Probe("n", "10.0.0.1", 53, "udp", question=IDENTITY_QUERY), n).question for n in range(50)]
    assert len({question[:12] for question in plain}) == len({question[:12] for question in dns}) == 50
    assert all(question[2:] == IDENTITY_QUERY[2:] for question in dns)
    assert recognisable(Probe("n", "10.0.0.1", 80, "tcp"), 3).question == QUESTION
    ports = [port_of(number) for number in range(19_000)]
    assert len(set(ports)) == 19_000
    assert (min(ports), max(ports)) == (10_000, 28_999)
