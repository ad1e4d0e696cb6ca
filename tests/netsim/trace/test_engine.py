"""The engine by itself, over rule programs written as functions: hook order, translations, what the kernel refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from iptables_gen.dataplane import Hook, HookEntry
from iptables_gen.effects import (
    NOTHING_HAPPENS,
    Accept,
    Dnat,
    Drop,
    Effect,
    IpvsSend,
    Masquerade,
    NoTrack,
    Path,
    Reject,
    RuleHit,
    SetMark,
    Snat,
    Undetermined,
    Verdict,
)
from iptables_gen.origin import Origin
from iptables_gen.values import Family, format_ip, parse_ip
from iptables_gen.view import HostView, PacketView
from netsim.hosts.model import Address, Host, Interface, LabelledDataplane, Route
from netsim.packet.packet import Packet
from netsim.trace.machine import Machine
from netsim.trace.passage import Delivered, Lost, Passage, Refused, Sent, Unknown
from netsim.trace.passes import Arrival, emit, receive
from netsim.trace.routing import RouteTable, pick_source

Seen = list[tuple[str, str, str, str]]


def ip(text: str) -> int:
    return parse_ip(text)[1]


class Rule:
    """A rule as a step names it."""

    def __init__(self, chain: str = "TEST") -> None:
        self.table, self.chain, self.text = "nat", chain, f"-A {chain} -j X"
        self.origin: Origin | None = None


class Program:
    """A rule program of functions; `seen` is what each hook saw, in order."""

    def __init__(self, *entries: HookEntry, family: Family = 4) -> None:
        self.entries, self._family = entries, family

    @property
    def family(self) -> Family:
        return self._family

    def hooks(self) -> tuple[HookEntry, ...]:
        return self.entries

    def render(self) -> dict[str, str]:
        return {}

    def explain(self, name: str) -> tuple[Rule, ...]:
        return ()


def path(*effects: Effect, verdict: Verdict | None = None, weight: Fraction = Fraction(1)) -> Path:
    return Path(weight, verdict or Accept(), (RuleHit(Rule(), "X"), *effects))


def entry(hook: Hook, priority: int, run: Callable[[Any, Any], Iterable[Path]], *, nat: bool = False) -> HookEntry:
    return HookEntry(hook, priority, "t", nat, lambda packet, host: tuple(run(packet, host)))


def watch(seen: Seen, hook: Hook, priority: int, name: str, *, nat: bool = False) -> HookEntry:
    def run(packet: PacketView, host: HostView) -> tuple[Path, ...]:
        seen.append((name, packet.in_interface, packet.out_interface, format_ip(4, packet.dst)))
        return NOTHING_HAPPENS

    return entry(hook, priority, run, nat=nat)


def always(hook: Hook, priority: int, *effects: Effect, nat: bool = False, verdict: Verdict | None = None) -> HookEntry:
    return entry(hook, priority, lambda packet, host: (path(*effects, verdict=verdict),), nat=nat)


def machine(*entries: HookEntry, sysctls: dict[str, str] | None = None, **changes: Any) -> Machine:
    """A node: eth0 10.0.0.1/24 with a default route, a bridge 10.1.0.1/24."""
    loaded = LabelledDataplane("kube-proxy", Program(*entries))
    host = Host(
        name="node",
        kind="node",
        node="node",
        interfaces=(
            Interface("lo", "loopback", addresses=(Address(4, ip("127.0.0.1"), 8, True),)),
            Interface("eth0", "ethernet", "switch", (Address(4, ip("10.0.0.1"), 24),)),
            Interface("cni0", "bridge", "bridge/node", (Address(4, ip("10.1.0.1"), 24),), hairpin=True),
        ),
        routes=(
            Route(4, ip("10.0.0.0"), 24, "eth0", source=ip("10.0.0.1")),
            Route(4, ip("10.1.0.0"), 24, "cni0", source=ip("10.1.0.1")),
            Route(4, 0, 0, "eth0", gateway=ip("10.0.0.254")),
            Route(4, ip("10.99.0.0"), 16, "", blackhole=True),
        ),
        sysctls={"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1", **(sysctls or {})},
        dataplanes=(loaded,),
    )
    return Machine(replace(host, **changes))


def packet(src: str, dst: str, dport: int = 80, protocol: str = "tcp") -> Packet:
    return Packet(4, protocol, ip(src), ip(dst), 40000, dport)


def only(passages: list[Passage]) -> Passage:
    (found,) = passages
    return found


PRIORITIES = (("raw", -300, False), ("mangle", -150, False), ("nat", -100, True), ("filter", 0, False))


def test_forwarded_packets_meet_the_hooks_in_order() -> None:
    seen: Seen = []
    entries = [
        watch(seen, hook, priority, f"{hook.name} {name}", nat=nat)
        for hook in (Hook.POSTROUTING, Hook.FORWARD, Hook.INPUT, Hook.OUTPUT, Hook.PREROUTING)
        for name, priority, nat in reversed(PRIORITIES)
    ]
    passage = only(receive(machine(*entries), packet("10.1.0.5", "10.0.0.7"), Arrival("cni0")))
    assert passage.end == Sent("eth0", None)
    assert [name for name, *_ in seen] == [
        f"{hook} {name}" for hook in ("PREROUTING", "FORWARD", "POSTROUTING") for name, *_ in PRIORITIES
    ]
    assert {(i, o) for name, i, o, _ in seen if name.startswith("FORWARD")} == {("cni0", "eth0")}
    assert {(i, o) for name, i, o, _ in seen if name.startswith("POSTROUTING")} == {("", "eth0")}


def test_a_local_destination_meets_input_and_no_postrouting() -> None:
    seen: Seen = []
    entries = [watch(seen, hook, 0, hook.name) for hook in Hook]
    assert only(receive(machine(*entries), packet("10.0.0.7", "10.0.0.1"), Arrival("eth0"))).end == Delivered()
    assert [name for name, *_ in seen] == ["PREROUTING", "INPUT"]


def test_a_process_dialling_its_own_host_goes_through_loopback_twice_but_asks_nat_once() -> None:
    seen: Seen = []
    entries = [
        *(watch(seen, hook, 0, hook.name) for hook in Hook),
        *(watch(seen, hook, -100, f"nat {hook.name}", nat=True) for hook in Hook),
    ]
    assert only(emit(machine(*entries), packet("10.0.0.1", "10.0.0.1"))).end == Delivered()
    order = ["nat OUTPUT", "OUTPUT", "nat POSTROUTING", "POSTROUTING", "PREROUTING", "INPUT"]
    assert [name for name, *_ in seen] == order
    assert [i for name, i, _, _ in seen if name == "INPUT"] == ["lo"]


def test_a_translated_destination_is_routed_again() -> None:
    dnat = always(Hook.OUTPUT, -100, Dnat(ip("10.1.0.5"), 8080), nat=True)
    passage = only(emit(machine(dnat), packet("10.0.0.1", "10.0.0.9")))
    assert passage.end == Sent("cni0", None)
    assert passage.applied(packet("10.0.0.1", "10.0.0.9")).destination_text == "10.1.0.5:8080"


def test_only_the_first_translation_of_a_kind_counts() -> None:
    first = always(Hook.PREROUTING, -100, Dnat(ip("10.0.0.7"), None), nat=True)
    second = always(Hook.PREROUTING, -99, Dnat(ip("10.0.0.8"), None), nat=True)
    masquerade = always(Hook.POSTROUTING, 100, Masquerade(), nat=True)
    snat = always(Hook.POSTROUTING, 101, Snat(ip("9.9.9.9")), nat=True)
    out = only(receive(machine(first, second, masquerade, snat), packet("10.1.0.5", "1.1.1.1"), Arrival("cni0")))
    assert out.applied(packet("10.1.0.5", "1.1.1.1")).header == (ip("10.0.0.1"), 40000, ip("10.0.0.7"), 80)


def test_masquerading_takes_the_address_of_the_way_out() -> None:
    masquerade = always(Hook.POSTROUTING, 100, Masquerade(), nat=True)
    for dst, want in (("10.1.0.9", "10.1.0.1"), ("8.8.8.8", "10.0.0.1")):
        passage = only(receive(machine(masquerade), packet("10.0.0.7", dst), Arrival("eth0")))
        assert passage.nat.src == ip(want)
        assert passage.nat.snat_by == "kube-proxy"


def test_marks_travel_from_hook_to_hook_and_not_further() -> None:
    marks: list[int] = []

    def note(packet: PacketView, host: HostView) -> tuple[Path, ...]:
        marks.append(packet.mark)
        return NOTHING_HAPPENS

    entries = (always(Hook.PREROUTING, -150, SetMark(0x4000)), entry(Hook.POSTROUTING, 0, note))
    passage = only(receive(machine(*entries), packet("10.1.0.5", "10.0.0.7"), Arrival("cni0")))
    assert marks == [0x4000]
    assert passage.applied(packet("10.1.0.5", "10.0.0.7")).mark == 0


@pytest.mark.parametrize(
    ("verdict", "want"),
    [
        pytest.param(Drop(), Lost, id="drop-is-silence"),
        pytest.param(Reject("tcp-reset"), Refused, id="reject-answers"),
        pytest.param(Undetermined(Rule(), "who knows"), Unknown, id="an-unknown-rule-decides"),
    ],
)
@pytest.mark.parametrize("hook", [Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING])
def test_verdicts_end_a_packet(hook: Hook, verdict: Verdict, want: type) -> None:
    seen: Seen = []
    entries = (always(hook, 0, verdict=verdict), watch(seen, Hook.POSTROUTING, 500, "later"))
    assert isinstance(only(receive(machine(*entries), packet("10.1.0.5", "8.8.8.8"), Arrival("cni0"))).end, want)
    assert seen == []


def test_forks_multiply() -> None:
    def fork(packet: PacketView, host: HostView) -> tuple[Path, ...]:
        return (path(weight=Fraction(1, 3)), path(SetMark(1), weight=Fraction(2, 3)))

    entries = (entry(Hook.PREROUTING, 0, fork), entry(Hook.FORWARD, 0, fork))
    found = receive(machine(*entries), packet("10.1.0.5", "8.8.8.8"), Arrival("cni0"))
    assert sorted(passage.weight for passage in found) == [Fraction(n, 9) for n in (1, 2, 2, 4)]


def test_untracked_packets_are_not_translated() -> None:
    entries = (
        always(Hook.PREROUTING, -300, NoTrack()),
        always(Hook.PREROUTING, -100, Dnat(ip("10.0.0.7"), 1), nat=True),
    )
    assert only(receive(machine(*entries), packet("10.1.0.5", "8.8.8.8"), Arrival("cni0"))).nat.dst is None


def test_ipvs_sends_what_it_takes_through_output_and_postrouting() -> None:
    seen: Seen = []
    taken = always(Hook.INPUT, 99, verdict=IpvsSend(ip("10.1.0.5"), 8080))
    entries = (taken, *(watch(seen, hook, 50, hook.name) for hook in Hook))
    bound = Interface("kube-ipvs0", "dummy", addresses=(Address(4, ip("10.96.0.1"), 32),))
    node = machine(*entries)
    host = replace(node.host, interfaces=(*node.host.interfaces, bound))
    passage = only(receive(Machine(host), packet("10.0.0.7", "10.96.0.1"), Arrival("eth0")))
    assert passage.end == Sent("cni0", None)
    assert [name for name, *_ in seen] == ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]
    local = always(Hook.INPUT, 99, verdict=IpvsSend(ip("10.0.0.1"), 8080))
    here = Machine(replace(host, dataplanes=machine(local).host.dataplanes))
    assert only(receive(here, packet("10.0.0.7", "10.96.0.1"), Arrival("eth0"))).end == Delivered()


@pytest.mark.parametrize(
    ("source", "target", "interface", "sysctls", "code"),
    [
        pytest.param("127.0.0.1", "10.1.0.5", "eth0", {}, "MARTIAN_SOURCE", id="loopback-source"),
        pytest.param("10.0.0.7", "127.0.0.1", "eth0", {}, "MARTIAN_DESTINATION", id="loopback-destination"),
        pytest.param("10.0.0.1", "10.1.0.5", "eth0", {}, "MARTIAN_SOURCE", id="ones-own-address"),
        pytest.param("10.1.0.5", "8.8.8.8", "eth0", {"net.ipv4.conf.all.rp_filter": "1"}, "REVERSE_PATH", id="strict"),
        pytest.param("10.1.0.5", "8.8.8.8", "cni0", {"net.ipv4.ip_forward": "0"}, "NOT_FORWARDING", id="no-forwarding"),
        pytest.param("10.1.0.5", "10.99.1.1", "cni0", {}, "NO_ROUTE", id="blackhole"),
    ],
)
def test_what_the_kernel_refuses(source: str, target: str, interface: str, sysctls: dict[str, str], code: str) -> None:
    end = only(receive(machine(sysctls=sysctls), packet(source, target), Arrival(interface))).end
    assert isinstance(end, Lost)
    assert end.code == code


@pytest.mark.parametrize(
    ("source", "target", "interface", "sysctls"),
    [
        pytest.param("10.0.0.7", "127.0.0.1", "eth0", {"net.ipv4.conf.all.route_localnet": "1"}, id="route-localnet"),
        pytest.param("10.0.0.1", "10.1.0.5", "eth0", {"net.ipv4.conf.all.accept_local": "1"}, id="accept-local"),
        pytest.param("10.1.0.5", "8.8.8.8", "eth0", {"net.ipv4.conf.all.rp_filter": "2"}, id="loose-reverse-path"),
    ],
)
def test_what_sysctls_allow(source: str, target: str, interface: str, sysctls: dict[str, str]) -> None:
    assert not isinstance(only(receive(machine(sysctls=sysctls), packet(source, target), Arrival(interface))).end, Lost)


def test_a_loopback_source_leaves_only_with_route_localnet() -> None:
    dnat = always(Hook.OUTPUT, -100, Dnat(ip("10.1.0.5"), 8080), nat=True)
    stays = only(emit(machine(dnat), packet("127.0.0.1", "127.0.0.1"))).end
    assert stays == Lost("MARTIAN_SOURCE")
    allowed = machine(dnat, sysctls={"net.ipv4.conf.all.route_localnet": "1"})
    assert only(emit(allowed, packet("127.0.0.1", "127.0.0.1"))).end == Sent("cni0", None)


def test_bridged_frames_meet_iptables_only_when_the_bridge_calls_it() -> None:
    seen: Seen = []
    entries = [watch(seen, hook, 0, hook.name) for hook in Hook]
    calls = only(receive(machine(*entries), packet("10.1.0.5", "10.1.0.6"), Arrival("cni0", framed=True)))
    assert calls.end == Sent("cni0", None, True)
    assert [(name, i, o) for name, i, o, _ in seen] == [
        ("PREROUTING", "cni0", ""),
        ("FORWARD", "cni0", "cni0"),
        ("POSTROUTING", "", "cni0"),
    ]
    seen.clear()
    silent = machine(*entries, sysctls={"net.bridge.bridge-nf-call-iptables": "0"})
    passage = only(receive(silent, packet("10.1.0.5", "10.1.0.6"), Arrival("cni0", framed=True)))
    assert passage.end == Sent("cni0", None, True)
    assert not passage.tracked
    assert seen == []


def test_a_destination_translated_to_the_same_bridge_stays_bridged() -> None:
    dnat = always(Hook.PREROUTING, -100, Dnat(ip("10.1.0.6"), 8080), nat=True)
    node = machine(dnat)
    assert only(receive(node, packet("10.1.0.5", "10.96.0.1"), Arrival("cni0"))).end == Sent("cni0", None, True)
    assert only(receive(node, packet("10.0.0.7", "10.96.0.1"), Arrival("eth0"))).end == Sent("cni0", None, False)
    quiet = machine(dnat, sysctls={"net.bridge.bridge-nf-call-iptables": "0"})
    assert only(receive(quiet, packet("10.1.0.5", "10.96.0.1"), Arrival("cni0"))).end == Sent("cni0", None, False)


def test_answers_are_translated_back_without_asking_nat() -> None:
    asked: Seen = []
    entries = [watch(asked, hook, -100, hook.name, nat=True) for hook in Hook]
    sent = packet("10.1.0.5", "10.96.0.1")
    answer = packet("10.1.0.6", "10.1.0.5", 40000)._replace(sport=8080)
    arrival = Arrival("cni0", known=sent.reversed(), state="ESTABLISHED", dnat=True, reply=True)
    passage = only(receive(machine(*entries), answer, arrival))
    assert passage.applied(answer).header == sent.reversed().header
    assert asked == []


@pytest.mark.parametrize(
    ("address", "want"),
    [
        pytest.param("10.0.0.9", "10.0.0.0/24", id="connected"),
        pytest.param("10.99.3.4", "10.99.0.0/16", id="longer-prefix"),
        pytest.param("8.8.8.8", "0.0.0.0/0", id="default"),
    ],
)
def test_the_longest_prefix_wins(address: str, want: str) -> None:
    table = RouteTable(4, machine().host.routes)
    found = table.find(ip(address))
    assert found is not None
    assert f"{format_ip(4, found.network)}/{found.prefix}" == want
    assert table.find(ip(address)) is found


def test_no_route_at_all() -> None:
    assert RouteTable(4, ()).find(ip("8.8.8.8")) is None
    assert only(emit(machine(routes=()), packet("10.0.0.1", "8.8.8.8"))).end == Lost("NO_ROUTE", disposition="NO_ROUTE")


def test_sources_are_chosen_as_the_kernel_does() -> None:
    eth0 = Interface("eth0", "ethernet", "", (Address(4, ip("10.0.0.1"), 24), Address(4, ip("10.5.0.1"), 24)))
    bare = Interface("eth1", "ethernet")
    assert pick_source(4, eth0, (eth0,), ip("10.5.0.9")) == ip("10.5.0.1")
    assert pick_source(4, eth0, (eth0,), ip("8.8.8.8")) == ip("10.0.0.1")
    assert pick_source(4, bare, (bare, eth0), ip("8.8.8.8")) == ip("10.0.0.1")
    assert pick_source(4, bare, (bare,), ip("8.8.8.8")) is None
    six = Interface("eth0", "ethernet", "", (Address(6, ip("fd00:1::1"), 64), Address(6, ip("fd00:2::1"), 64)))
    assert pick_source(6, six, (six,), ip("fd00:2::99")) == ip("fd00:2::1")


@pytest.mark.parametrize(
    ("family", "address", "want"),
    [
        (4, "10.0.0.1", "LOCAL"),
        (4, "127.5.5.5", "LOCAL"),
        (4, "10.0.0.255", "BROADCAST"),
        (4, "255.255.255.255", "BROADCAST"),
        (4, "224.0.0.1", "MULTICAST"),
        (4, "0.0.0.0", "UNSPEC"),
        (4, "10.0.0.2", "UNICAST"),
        (6, "ff02::1", "MULTICAST"),
        (6, "fd00::1", "UNICAST"),
    ],
)
def test_address_types(family: Family, address: str, want: str) -> None:
    assert machine().address_type(family, ip(address)) == want
