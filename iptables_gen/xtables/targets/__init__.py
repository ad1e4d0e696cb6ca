"""The targets, one class each, and their names after `-j`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from iptables_gen.xtables.ir import Target
from iptables_gen.xtables.options import Options
from iptables_gen.xtables.targets import marks, nat, side, verdicts


class TargetKind(NamedTuple):
    """What the parser needs of a class: its options (name to number of values), and `parse(name, options)`."""

    options: Mapping[str, int]
    parse: Callable[[str, Options], Target]


TARGETS: Final[MappingProxyType[str, TargetKind]] = MappingProxyType(
    {
        **dict.fromkeys(("ACCEPT", "DROP", "RETURN", "QUEUE"), TargetKind({}, verdicts.VerdictTarget.parse)),
        "REJECT": TargetKind(verdicts.RejectTarget.OPTIONS, verdicts.RejectTarget.parse),
        "DNAT": TargetKind(nat.DnatTarget.OPTIONS, nat.DnatTarget.parse),
        "SNAT": TargetKind(nat.SnatTarget.OPTIONS, nat.SnatTarget.parse),
        "MASQUERADE": TargetKind(nat.MasqueradeTarget.OPTIONS, nat.MasqueradeTarget.parse),
        "REDIRECT": TargetKind(nat.RedirectTarget.OPTIONS, nat.RedirectTarget.parse),
        "NETMAP": TargetKind(nat.NetmapTarget.OPTIONS, nat.NetmapTarget.parse),
        "MARK": TargetKind(marks.MarkTarget.OPTIONS, marks.MarkTarget.parse),
        "CONNMARK": TargetKind(marks.ConnmarkTarget.OPTIONS, marks.ConnmarkTarget.parse),
        "CT": TargetKind(marks.CtTarget.OPTIONS, marks.CtTarget.parse),
        "NOTRACK": TargetKind({}, marks.CtTarget.parse),
        **{name: TargetKind(options, side.SideTarget.parse) for name, options in side.OPTIONS.items()},
    }
)

EXTENSIONS: Final = frozenset(
    [
        "AUDIT",
        "CHECKSUM",
        "CLASSIFY",
        "CLUSTERIP",
        "CONNSECMARK",
        "DNPT",
        "DSCP",
        "ECN",
        "HL",
        "HMARK",
        "IDLETIMER",
        "LED",
        "MIRROR",
        "NFQUEUE",
        "RATEEST",
        "SECMARK",
        "SET",
        "SNPT",
        "SYNPROXY",
        "TCPOPTSTRIP",
        "TEE",
        "TOS",
        "TPROXY",
        "TTL",
        "ULOG",
    ]
)
"""Names of the other targets that iptables 1.8 has: not chains."""
