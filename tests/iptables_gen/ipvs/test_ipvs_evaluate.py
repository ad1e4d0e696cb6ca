"""Which real server a connection gets, with exact shares; what ipsets hold; where IPVS hooks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.dataplane import Hook
from iptables_gen.effects import (
    NOTHING_HAPPENS,
    Assumed,
    IpvsNoServer,
    IpvsSend,
    Path,
    Remember,
    RuleHit,
    Undetermined,
)
from iptables_gen.ipvs.evaluate import LOCAL_IN, LOCAL_OUT, Scheduler, affinity_table, hook_entries
from iptables_gen.ipvs.ir import IpSet, RealServer, VirtualServer
from iptables_gen.ipvs.sets import HostSets
from iptables_gen.ipvs.text import parse_sets
from iptables_gen.kubeproxy.ipvs import compile_input
from iptables_gen.view import Tri
from tests.iptables_gen.kubeproxy.recorded_modes import inputs_of
from tests.iptables_gen.nft.nft_views import FakeHost, FakePacket, ip, packet

REALS = tuple(RealServer(f"10.1.1.{n}", 8080, weight) for n, weight in ((1, 1), (2, 1), (3, 2)))
WEB = VirtualServer("tcp", "10.0.0.1", 80, "rr", servers=REALS)


def run(server: VirtualServer, given: FakePacket | None = None, host: FakeHost | None = None) -> tuple[Path, ...]:
    return Scheduler([server]).run(given or packet(), host or FakeHost())


def shares(paths: tuple[Path, ...]) -> dict[int, Fraction]:
    return {path.verdict.address: path.weight for path in paths if isinstance(path.verdict, IpvsSend)}


@pytest.mark.parametrize(
    ("scheduler", "weights", "note"),
    [
        pytest.param("rr", (1, 1, 1), "", id="round-robin-is-even"),
        pytest.param("wrr", (1, 1, 2), "", id="weighted-round-robin-is-by-weight"),
        pytest.param("lc", (1, 1, 1), "IPVS_LOAD", id="least-connections"),
        pytest.param("wlc", (1, 1, 2), "IPVS_LOAD", id="weighted-least-connections"),
        pytest.param("sed", (1, 1, 2), "IPVS_LOAD", id="shortest-expected-delay"),
        pytest.param("nq", (1, 1, 2), "IPVS_LOAD", id="never-queue"),
        pytest.param("lblc", (1, 1, 2), "IPVS_LOAD", id="locality-based"),
        pytest.param("lblcr", (1, 1, 2), "IPVS_LOAD", id="locality-based-with-replication"),
        pytest.param("sh", (1, 1, 2), "IPVS_HASH", id="source-hash"),
        pytest.param("dh", (1, 1, 2), "IPVS_HASH", id="destination-hash"),
        pytest.param("mh", (1, 1, 2), "IPVS_HASH", id="maglev-hash"),
        pytest.param("fo", (0, 0, 1), "", id="failover-takes-the-greatest-weight"),
        pytest.param("new", (1, 1, 2), "IPVS_SCHEDULER", id="a-scheduler-that-is-not-known"),
    ],
)
def test_schedulers(scheduler: str, weights: tuple[int, ...], note: str) -> None:
    paths = run(replace(WEB, scheduler=scheduler))
    wanted = {ip(f"10.1.1.{n + 1}"): Fraction(w, sum(weights)) for n, w in enumerate(weights) if w}
    assert shares(paths) == wanted
    notes = {effect.code for path in paths for effect in path.effects if isinstance(effect, Assumed)}
    assert notes == ({note} if note else set())
    assert all(isinstance(p.effects[0], RuleHit) and p.effects[0].choice == p.weight for p in paths)


@given(st.lists(st.integers(0, 5), max_size=6), st.sampled_from(["rr", "wrr", "wlc", "sh", "fo"]))
def test_weights_sum_to_one_and_weight_0_takes_nothing(weights: list[int], scheduler: str) -> None:
    reals = tuple(RealServer(f"10.1.2.{n}", 80, weight) for n, weight in enumerate(weights))
    paths = run(VirtualServer("tcp", "10.0.0.1", 80, scheduler, servers=reals))
    assert sum(path.weight for path in paths) == 1
    used = set(shares(paths))
    assert used <= {ip(real.address) for real in reals if real.weight}
    assert bool(used) == any(weights)


def test_a_server_without_real_servers_refuses() -> None:
    [path] = run(replace(WEB, servers=()))
    assert path.verdict == IpvsNoServer("-t 10.0.0.1:80")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(packet(protocol="udp"), id="another-protocol"),
        pytest.param(packet(dport=81), id="another-port"),
        pytest.param(packet(dst="10.0.0.2"), id="another-address"),
        pytest.param(packet(ct_state="ESTABLISHED"), id="a-known-connection"),
        pytest.param(packet(ipvs=True), id="handled-already"),
    ],
)
def test_other_packets_go_on_untouched(given: FakePacket) -> None:
    assert run(WEB, given) is NOTHING_HAPPENS


def test_a_firewall_mark_and_a_service_for_any_port_are_found() -> None:
    marked = VirtualServer("", "", 0, "rr", fwmark=7, servers=REALS[:1])
    assert len(run(marked, packet(mark=7))) == 1
    anything = VirtualServer("tcp", "10.0.0.1", 0, "rr", servers=(RealServer("10.1.1.1", 0),))
    [path] = run(anything, packet(dport=4444))
    assert path.verdict == IpvsSend(ip("10.1.1.1"), 4444, "-t 10.0.0.1:0")


def test_direct_routing_is_not_modelled() -> None:
    [path] = run(replace(WEB, servers=(RealServer("10.1.1.1", 80, 1, "g"),)))
    assert isinstance(path.verdict, Undetermined)


@pytest.mark.parametrize(
    ("age", "known"),
    [
        pytest.param(299.0, True, id="young"),
        pytest.param(300.0, False, id="timed-out"),
        pytest.param(None, False, id="never"),
    ],
)
def test_persistence_keeps_a_client_at_its_server(age: float | None, known: bool) -> None:
    sticky = replace(WEB, persistent=300)
    table = affinity_table(sticky, REALS[1])
    paths = run(sticky, host=FakeHost(ages={} if age is None else {(table, ip("10.0.0.9")): age}))
    assert len(paths) == (1 if known else 3)
    remembered = [effect for path in paths for effect in path.effects if isinstance(effect, Remember)]
    assert len(remembered) == len(paths)
    assert {effect.seconds for effect in remembered} == {300}
    if known:
        assert remembered[0] == Remember(table, ip("10.0.0.9"), 300, "10.1.1.2:8080")


def test_the_youngest_template_counts() -> None:
    sticky = replace(WEB, persistent=300)
    ages = {(affinity_table(sticky, real), ip("10.0.0.9")): float(n) for n, real in enumerate(reversed(REALS))}
    [path] = run(sticky, host=FakeHost(ages=ages))
    assert path.verdict == IpvsSend(ip("10.1.1.3"), 8080, sticky.name)


def test_ipvs_hooks_local_in_after_filter_and_local_out_after_nat() -> None:
    entries = hook_entries([WEB])
    assert [(e.hook, e.priority, e.nat) for e in entries] == [(Hook.INPUT, 98, False), (Hook.OUTPUT, -98, False)]
    assert (LOCAL_IN, LOCAL_OUT) == (98, -98)


def test_a_bound_address_without_a_server_exposes_the_host_and_says_so() -> None:
    inward, outward = hook_entries([WEB], ["10.0.0.1"])
    [path] = inward.run(packet(dport=9999), FakeHost())
    assert [effect.code for effect in path.effects if isinstance(effect, Assumed)] == ["IPVS_BOUND_VIP"]
    assert outward.run(packet(dport=9999), FakeHost()) is NOTHING_HAPPENS
    assert inward.run(packet(dst="10.0.0.2"), FakeHost()) is NOTHING_HAPPENS


SETS = parse_sets(
    "create ONE hash:ip family inet\nadd ONE 10.0.0.1\ncreate TWO hash:ip,port family inet\nadd TWO 10.0.0.1,tcp:80\n"
    "create BACK hash:ip,port,ip family inet\nadd BACK 10.0.0.1,tcp:80,10.0.0.1\n"
    "create RANGE hash:ip,port,net family inet\nadd RANGE 10.0.0.1,tcp:80,10.0.0.0/8\n"
    "create PORTS bitmap:port range 0-65535\nadd PORTS 80\ncreate NETS hash:net family inet\nadd NETS 10.0.0.0/24\n"
    "create LIST list:set size 8\n"
)


@pytest.mark.parametrize(
    ("name", "flags", "given", "wanted"),
    [
        pytest.param("ONE", "dst", packet(), Tri.YES, id="address"),
        pytest.param("ONE", "src", packet(), Tri.NO, id="other-side"),
        pytest.param("TWO", "dst,dst", packet(), Tri.YES, id="address-and-port"),
        pytest.param("TWO", "dst,dst", packet(protocol="udp"), Tri.NO, id="the-port-has-a-protocol"),
        pytest.param("TWO", "src,dst", packet(), Tri.NO, id="source-address-and-destination-port"),
        pytest.param("TWO", "dst", packet(), Tri.NO, id="too-few-flags"),
        pytest.param("BACK", "dst,dst,src", packet(), Tri.NO, id="not-from-itself"),
        pytest.param("BACK", "dst,dst,src", packet("10.0.0.1"), Tri.YES, id="from-itself"),
        pytest.param("RANGE", "dst,dst,src", packet(), Tri.YES, id="source-in-range"),
        pytest.param("RANGE", "dst,dst,src", packet("192.0.2.1"), Tri.NO, id="source-out-of-range"),
        pytest.param("PORTS", "dst", packet(protocol="udp"), Tri.YES, id="a-bitmap-knows-no-protocol"),
        pytest.param("PORTS", "dst", packet(protocol="icmp"), Tri.NO, id="no-ports"),
        pytest.param("NETS", "src", packet(), Tri.YES, id="network"),
        pytest.param("ONE", "dst", packet("fd00::1", "fd00::2"), Tri.NO, id="other-family"),
        pytest.param("NONE", "dst", packet(), Tri.UNKNOWN, id="no-such-set"),
        pytest.param("LIST", "dst", packet(), Tri.UNKNOWN, id="a-type-that-is-not-modelled"),
    ],
)
def test_what_sets_hold(name: str, flags: str, given: FakePacket, wanted: Tri) -> None:
    assert HostSets(SETS).contains(name, tuple(flags.split(",")), given) is wanted


def test_sets_mention_the_addresses_they_tell_apart() -> None:
    sets = HostSets(SETS)
    told = {
        name: sets.mentions(name, ("dst", "dst", "src"), "dst") for name in ("ONE", "TWO", "BACK", "RANGE", "PORTS")
    }
    assert {name: one.singles for name, one in told.items() if one} == {
        "ONE": {ip("10.0.0.1")},
        "TWO": {ip("10.0.0.1")},
        "BACK": set(),
        "RANGE": {ip("10.0.0.1")},
        "PORTS": set(),
    }
    source = sets.mentions("RANGE", ("dst", "dst", "src"), "src")
    assert source is not None
    assert source.networks == ((0xFF000000, ip("10.0.0.0")),)
    assert sets.mentions("LIST", ("dst",), "dst") is None


def test_a_set_of_its_own_name_only() -> None:
    assert HostSets([IpSet("A", "hash:ip", 4)]).contains("A", ("dst",), packet()) is Tri.NO


def test_the_program_explains_servers_sets_and_chains() -> None:
    program = compile_input(inputs_of("099-kitchen-sink", "ipvs", "node-1")[0])
    texts = [ref.text for ref in program.explain("10.96.12.2:7070")]
    assert texts[0] == "-A -t 10.96.12.2:7070 -s rr -p 1800"
    assert len(texts) == 3
    assert [ref.text for ref in program.explain("KUBE-EXTERNAL-IP")][
        -1
    ] == "add KUBE-EXTERNAL-IP 198.51.100.77,tcp:3306"
    assert any("KUBE-MARK-MASQ" in ref.text for ref in program.explain("KUBE-MARK-MASQ"))
    assert program.explain("nothing") == ()
    assert "10.96.12.2" in program.bound_addresses
