"""The matches, one class each, and their names after `-m`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from iptables_gen.xtables.ir import Match
from iptables_gen.xtables.matches import chance, conntrack, host, marks, misc, transport
from iptables_gen.xtables.options import Options


class MatchKind(NamedTuple):
    """What the parser needs of a class: its options (name to number of values), and `parse(name, options)`."""

    options: Mapping[str, int]
    parse: Callable[[str, Options], Match]


MATCHES: Final[MappingProxyType[str, MatchKind]] = MappingProxyType(
    {
        "tcp": MatchKind(transport.TcpMatch.OPTIONS, transport.TcpMatch.parse),
        "udp": MatchKind(transport.PortMatch.OPTIONS, transport.PortMatch.parse),
        "udplite": MatchKind(transport.PortMatch.OPTIONS, transport.PortMatch.parse),
        "sctp": MatchKind(transport.PortMatch.OPTIONS, transport.PortMatch.parse),
        "dccp": MatchKind(transport.PortMatch.OPTIONS, transport.PortMatch.parse),
        "multiport": MatchKind(transport.MultiportMatch.OPTIONS, transport.MultiportMatch.parse),
        "icmp": MatchKind(transport.IcmpMatch.OPTIONS, transport.IcmpMatch.parse),
        "icmp6": MatchKind(transport.IcmpMatch.OPTIONS, transport.IcmpMatch.parse),
        "mark": MatchKind(marks.MarkMatch.OPTIONS, marks.MarkMatch.parse),
        "connmark": MatchKind(marks.ConnmarkMatch.OPTIONS, marks.ConnmarkMatch.parse),
        "conntrack": MatchKind(conntrack.ConntrackMatch.OPTIONS, conntrack.ConntrackMatch.parse),
        "state": MatchKind(conntrack.StateMatch.OPTIONS, conntrack.StateMatch.parse),
        "addrtype": MatchKind(host.AddrtypeMatch.OPTIONS, host.AddrtypeMatch.parse),
        "physdev": MatchKind(host.PhysdevMatch.OPTIONS, host.PhysdevMatch.parse),
        "rpfilter": MatchKind(host.FlagsMatch.OPTIONS, host.FlagsMatch.parse),
        "socket": MatchKind(host.FlagsMatch.OPTIONS, host.FlagsMatch.parse),
        "owner": MatchKind(host.OwnerMatch.OPTIONS, host.OwnerMatch.parse),
        "mac": MatchKind(host.MacMatch.OPTIONS, host.MacMatch.parse),
        "pkttype": MatchKind(host.PkttypeMatch.OPTIONS, host.PkttypeMatch.parse),
        "statistic": MatchKind(chance.StatisticMatch.OPTIONS, chance.StatisticMatch.parse),
        "recent": MatchKind(chance.RecentMatch.OPTIONS, chance.RecentMatch.parse),
        "limit": MatchKind(chance.LimitMatch.OPTIONS, chance.LimitMatch.parse),
        "hashlimit": MatchKind(chance.HashlimitMatch.OPTIONS, chance.HashlimitMatch.parse),
        "comment": MatchKind(misc.CommentMatch.OPTIONS, misc.CommentMatch.parse),
        "nfacct": MatchKind(misc.NfacctMatch.OPTIONS, misc.NfacctMatch.parse),
        "set": MatchKind(misc.SetMatch.OPTIONS, misc.SetMatch.parse),
        "ipvs": MatchKind(misc.IpvsMatch.OPTIONS, misc.IpvsMatch.parse),
        "iprange": MatchKind(misc.IprangeMatch.OPTIONS, misc.IprangeMatch.parse),
        "length": MatchKind(misc.LengthMatch.OPTIONS, misc.LengthMatch.parse),
        "ttl": MatchKind(misc.TtlMatch.OPTIONS, misc.TtlMatch.parse),
        "hl": MatchKind(misc.TtlMatch.OPTIONS, misc.TtlMatch.parse),
    }
)
