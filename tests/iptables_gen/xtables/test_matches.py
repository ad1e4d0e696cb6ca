"""What each match says of a packet: yes, no, or that the model cannot tell."""

from __future__ import annotations

import pytest

from iptables_gen.view import PacketView, Tri
from iptables_gen.xtables.ir import Match
from iptables_gen.xtables.matches.misc import SetMatch
from iptables_gen.xtables.program import BoundSet
from iptables_gen.xtables.text import parse_rule
from tests.iptables_gen.xtables.xtables_views import HOST, Host, Seen, packet

YES, NO, UNKNOWN = Tri.YES, Tri.NO, Tri.UNKNOWN

POD = packet("10.244.1.9", "10.96.0.10")
UDP = packet("10.244.1.9", "10.96.0.10", protocol="udp", dport=53)
PING = packet("10.244.1.9", "10.96.0.10", protocol="icmp")
SERVED = packet(ipvs=True, ipvs_vaddr=0x0A60000A, ipvs_vport=80)
LATER = packet(ct_state="ESTABLISHED")


def verdict(clauses: str, seen: Seen, host: Host = HOST) -> Tri:
    """Return what the clauses of a rule say together."""
    rule = parse_rule(f"-A FOO {clauses} -j DROP", family=seen.family)
    found = [match.matches(seen, host) for match in rule.matches]
    return NO if NO in found else UNKNOWN if UNKNOWN in found else YES


CASES = [
    ("-s 10.244.1.9", POD, YES, "the source itself"),
    ("-s 10.244.0.0/16", POD, YES, "a network"),
    ("! -s 10.244.0.0/16", POD, NO, "a network, negated"),
    ("-s 10.0.1.0/255.0.255.0", POD, YES, "a mask with holes"),
    ("-d 10.96.0.11", POD, NO, "another destination"),
    ("-s 0.0.0.0/0", POD, YES, "everything"),
    ("-p tcp", POD, YES, "the protocol"),
    ("! -p tcp", POD, NO, "the protocol, negated"),
    ("-p all", POD, YES, "any protocol"),
    ("-p 6", POD, YES, "the protocol's number"),
    ("-i eth0", packet(in_interface="eth0"), YES, "the interface"),
    ("-i eth+", packet(in_interface="eth0"), YES, "interfaces that begin so"),
    ("! -i eth+", packet(in_interface="eth0"), NO, "interfaces that begin so, negated"),
    ("-o eth0", packet(out_interface="cni0"), NO, "another interface"),
    ("-o +", packet(), YES, "any interface"),
    ("-f", POD, NO, "no packet is a fragment"),
    ("! -f", POD, YES, "every packet is whole"),
    ("-p tcp --dport 80", POD, YES, "the port"),
    ("-p tcp --dport 81:90", POD, NO, "outside the range"),
    ("-p tcp ! --dport 81:90", POD, YES, "outside the range, negated"),
    ("-p tcp --sport 1024:", POD, YES, "a range without end"),
    ("-m udp -p udp --dport 53", UDP, YES, "udp"),
    ("-m udp -p udp --dport 53", POD, NO, "udp is not tcp"),
    ("-p sctp --dport 53 --chunk-types any INIT", packet(protocol="sctp", dport=53), UNKNOWN, "chunks"),
    ("-p tcp --syn", POD, YES, "a new connection begins with SYN"),
    ("-p tcp ! --syn", POD, NO, "a new connection begins with SYN, negated"),
    ("-p tcp --syn", LATER, UNKNOWN, "flags of later packets are not modelled"),
    ("-p tcp --tcp-flags ALL NONE", POD, NO, "a null scan"),
    ("-p tcp --tcp-option 5", POD, UNKNOWN, "options of TCP are not modelled"),
    ("-p tcp -m multiport --dports 22,80:90", POD, YES, "one of many ports"),
    ("-p tcp -m multiport --sports 22,80:90", POD, NO, "source ports"),
    ("-p tcp -m multiport ! --ports 22,80:90", POD, NO, "either port, negated"),
    ("-m multiport --dports 22", PING, NO, "no ports at all"),
    ("-p icmp --icmp-type echo-request", PING, YES, "a ping"),
    ("-p icmp ! --icmp-type 8", PING, NO, "a ping, negated"),
    ("-p icmp --icmp-type any", PING, YES, "any ICMP"),
    ("-p icmp --icmp-type 3/4", packet(protocol="icmp", ct_state="RELATED"), UNKNOWN, "an error's type"),
    ("-p icmp --icmp-type 8", POD, NO, "no ICMP"),
    ("-m mark --mark 0x4000/0x4000", packet(mark=0x4001), YES, "the bit is set"),
    ("-m mark ! --mark 0x4000/0x4000", packet(mark=1), YES, "the bit is not set"),
    ("-m mark --mark 1", packet(mark=3), NO, "the whole mark"),
    ("-m connmark --mark 0", POD, YES, "a new connection has no mark"),
    ("-m connmark --mark 5", packet(ct_mark=5), YES, "the connection's mark"),
    ("-m connmark --mark 5", LATER, UNKNOWN, "the mark of a later packet is not known"),
    ("-m conntrack --ctstate NEW", POD, YES, "a new connection"),
    ("-m conntrack --ctstate RELATED,ESTABLISHED", POD, NO, "no known connection"),
    ("-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", packet(ct_dnat=True), NO, "translated, negated"),
    ("-m conntrack --ctstate DNAT", POD, NO, "not translated"),
    ("-m conntrack --ctstate SNAT", packet(ct_snat=True), YES, "source translated"),
    ("-m conntrack --ctorigdst 10.96.0.0/16", POD, YES, "before translation the destination is the original one"),
    ("-m conntrack --ctorigdst 10.96.0.10", packet(ct_dnat=True), UNKNOWN, "after translation it is not known"),
    ("-m conntrack --ctorigdst 10.96.0.10", packet(ct_dnat=True, ct_orig_dst=0x0A60000A), YES, "unless told"),
    ("-m conntrack --ctorigdstport 80:90", POD, YES, "the original port"),
    ("-m conntrack --ctorigsrc 10.244.1.8", POD, NO, "another original source"),
    ("-m conntrack --ctreplsrc 10.244.1.8", POD, UNKNOWN, "the reply's tuple is not modelled"),
    ("-m conntrack --ctproto udp", POD, NO, "another protocol"),
    ("-m conntrack --ctstatus NONE", POD, YES, "nothing confirmed yet"),
    ("-m conntrack --ctstatus SEEN_REPLY", LATER, YES, "an answer was seen"),
    ("-m conntrack --ctstatus ASSURED", LATER, UNKNOWN, "assured or not"),
    ("-m conntrack --ctdir ORIGINAL", POD, YES, "the first packet"),
    ("-m conntrack --ctdir REPLY", packet(ct_reply=True), YES, "an answer"),
    ("-m conntrack --ctdir REPLY", LATER, UNKNOWN, "either way"),
    ("-m conntrack --ctorigdst 10.96.0.10", packet(ct_state="INVALID"), NO, "an invalid packet has no connection"),
    ("-m state --state NEW", POD, YES, "the older spelling"),
    ("-m state ! --state NEW,ESTABLISHED", LATER, NO, "the older spelling, negated"),
    ("-m addrtype --dst-type LOCAL", packet(dst="192.168.10.1"), YES, "an address of the host"),
    ("-m addrtype ! --dst-type LOCAL", POD, YES, "no address of the host"),
    ("-m addrtype --src-type LOCAL --dst-type LOCAL", packet(dst="192.168.10.1"), NO, "both must be"),
    ("-m addrtype --dst-type LOCAL --limit-iface-in", packet(dst="192.168.10.1"), UNKNOWN, "of that interface?"),
    ("-m addrtype --dst-type LOCAL --limit-iface-in", POD, NO, "of no interface"),
    ("-m physdev --physdev-is-in", POD, NO, "not bridged"),
    ("-m physdev ! --physdev-is-in", packet(physdev_in="veth1"), NO, "bridged"),
    ("-m physdev --physdev-in veth+", packet(physdev_in="veth1"), YES, "by that port"),
    ("-m physdev ! --physdev-out veth1", packet(physdev_out="veth1"), NO, "out by that port"),
    ("-m physdev --physdev-is-bridged", packet(physdev_in="a", physdev_out="b"), YES, "in and out by ports"),
    ("-m rpfilter --invert", POD, UNKNOWN, "reverse paths are the engine's"),
    ("-m socket", POD, UNKNOWN, "sockets"),
    ("-m owner --uid-owner 0", POD, UNKNOWN, "a process's user"),
    ("-m owner --uid-owner 0", packet(in_interface="eth0"), NO, "a forwarded packet has no owner"),
    ("-m owner ! --uid-owner 0", packet(in_interface="eth0"), UNKNOWN, "a forwarded packet has no owner, negated"),
    ("-m mac --mac-source 00:11:22:33:44:55", POD, UNKNOWN, "the link layer"),
    ("-m pkttype --pkt-type unicast", POD, YES, "to one"),
    ("-m pkttype ! --pkt-type multicast", packet(dst="224.0.0.1"), NO, "to many"),
    ("-m length --length 1:100", POD, UNKNOWN, "lengths are not modelled"),
    ("-m length --length 0:65535", POD, YES, "any length"),
    ("-m ttl --ttl-lt 5", POD, UNKNOWN, "hops left"),
    ("-m limit --limit 1/sec", POD, YES, "one packet is within a rate"),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-name x", POD, YES, "one packet is below"),
    ("-m hashlimit --hashlimit-above 5/sec --hashlimit-name x", POD, NO, "one packet is not above"),
    ("-m iprange --src-range 10.244.1.0-10.244.1.9", POD, YES, "the last of a range"),
    ("-m iprange ! --dst-range 10.96.0.0-10.96.0.255", POD, NO, "a range, negated"),
    ("-m comment --comment x", POD, YES, "comments"),
    ("-m nfacct --nfacct-name x", POD, YES, "accounting"),
    ("-m set --match-set S dst", POD, UNKNOWN, "sets that nobody knows"),
    ("-m ipvs --ipvs", packet(ipvs=True), YES, "handled by IPVS"),
    ("-m ipvs ! --ipvs", POD, YES, "not handled by IPVS"),
    ("-m ipvs --vaddr 10.96.0.10 --vport 80", POD, NO, "no virtual service"),
    ("-m ipvs --vaddr 10.96.0.10", packet(ipvs=True), UNKNOWN, "which virtual service?"),
    ("-m ipvs --vaddr 10.96.0.0/16 --vport 80 --vproto tcp", SERVED, YES, "that one"),
    ("-m ipvs --vport 81", packet(ipvs=True, ipvs_vport=80), NO, "another virtual port"),
    ("-m u32 --u32 0=0", POD, UNKNOWN, "bytes of the packet"),
    ("-m time --timestart 08:00:00", POD, UNKNOWN, "a match this model never heard of"),
    ("-m statistic --mode random --probability 0", POD, NO, "never"),
    ("-m statistic --mode random --probability 1", POD, YES, "always"),
    ("-m statistic --mode random --probability 0.5", POD, UNKNOWN, "chance is the walk's"),
    ("-m recent --rcheck --seconds 10", POD, NO, "a new client"),
    ("-m recent ! --rcheck", POD, YES, "a new client, negated"),
    ("-m recent --set", POD, YES, "remembering always matches"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("clauses", "seen", "want"), [pytest.param(*case[:3], id=f"{case[3]}: {case[0]}") for case in CASES]
)
def test_what_a_clause_says(clauses: str, seen: Seen, want: Tri) -> None:
    assert verdict(clauses, seen) is want


@pytest.mark.parametrize(
    ("clauses", "age", "want"),
    [
        pytest.param("--rcheck --seconds 10", 9.5, YES, id="young enough"),
        pytest.param("--rcheck --seconds 10", 10.0, NO, id="too old"),
        pytest.param("--rcheck", 1e6, YES, id="no limit"),
        pytest.param("! --rcheck --seconds 10", 9.5, NO, id="young enough, negated"),
        pytest.param("--update --seconds 10 --hitcount 3", 1.0, UNKNOWN, id="how often is not known"),
        pytest.param("--remove", 1.0, YES, id="there to be removed"),
        pytest.param("--rcheck --rdest", 1.0, NO, id="the other address"),
    ],
)
def test_a_client_that_was_seen_before(clauses: str, age: float, want: Tri) -> None:
    host = Host(ages=(("T", "10.244.1.9", age),))
    assert verdict(f"-m recent {clauses} --name T", POD, host) is want


class EvenPorts:
    """Sets of which every one holds even destination ports."""

    def contains(self, name: str, flags: tuple[str, ...], seen: PacketView) -> Tri:
        return UNKNOWN if name != "S" else YES if seen.dport % 2 == 0 else NO


@pytest.mark.parametrize(
    ("clause", "port", "want"),
    [
        ("--match-set S dst,dst", 80, YES),
        ("--match-set S dst,dst", 81, NO),
        ("! --match-set S dst,dst", 81, YES),
        ("--match-set T dst", 80, UNKNOWN),
        ("--match-set S dst --packets-gt 5", 80, UNKNOWN),
    ],
)
def test_sets_are_asked(clause: str, port: int, want: Tri) -> None:
    match: Match = parse_rule(f"-A FOO -m set {clause} -j DROP").matches[0]
    assert isinstance(match, SetMatch)
    assert BoundSet(match, EvenPorts()).matches(packet(dport=port), HOST) is want


def test_ipv6_of_the_same_things() -> None:
    seen = packet("fd00::1", "fd00::2", protocol="ipv6-icmp")
    assert verdict("-s fd00::/64 -p ipv6-icmp --icmpv6-type echo-request", seen) is YES
    assert verdict("-p ipv6-icmp --icmpv6-type 1/4", seen) is NO
    assert verdict("-m hl --hl-eq 255", seen) is UNKNOWN
    assert verdict("-m addrtype --dst-type MULTICAST", packet("fd00::1", "ff02::1")) is YES


@pytest.mark.parametrize("clauses", sorted({case[0] for case in CASES}))
def test_every_clause_names_what_it_reads(clauses: str) -> None:
    fields = {*Seen.__dataclass_fields__, "?"}
    for match in parse_rule(f"-A FOO {clauses} -j DROP").matches:
        assert set(match.reads()) <= fields
