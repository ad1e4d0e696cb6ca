"""`-m conntrack` and `-m state`.

Source:  iptables-extensions(8); kernel net/netfilter/xt_conntrack.c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from iptables_gen.values import BITS, Family, format_ip, net_mask
from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.matches.addresses import protocol_name, protocol_number
from iptables_gen.xtables.options import (
    Given,
    Options,
    address,
    comma_list,
    format_range,
    number_range,
    one_of,
    port_range,
    read_at,
    unsigned,
)
from iptables_gen.xtables.words import WordError

STATES: Final = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
STATUSES: Final = ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
_ADDRESSES: Final = ("--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst")
_PORTS: Final = ("--ctorigsrcport", "--ctorigdstport", "--ctreplsrcport", "--ctrepldstport")
_ORDER: Final = ("--ctstate", "--ctproto", *_ADDRESSES, *_PORTS, "--ctstatus", "--ctexpire", "--ctdir")
"""Order in which the kernel's dump prints them (observed on 1.8.9)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One option of `-m conntrack`: its name, what it asks for as printed, and the same as numbers or words."""

    option: str
    text: str
    negated: bool
    words: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class ConntrackMatch:
    """`-m conntrack` with `--ctstate`, original and reply addresses and ports, `--ctstatus`, `--ctdir`, `--ctexpire`.

    All conditions must hold. States of a packet are its own, plus DNAT or SNAT when its connection is translated.
    A packet view may carry `ct_orig_src ct_orig_dst ct_orig_sport ct_orig_dport` and `ct_reply`; without them the
    original tuple is that of the packet as long as nothing translated it.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(_ORDER, 1)

    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; conditions stand in the order of the kernel's dump."""
        if not options.given:
            raise WordError("conntrack needs at least one option", options.column)
        found = (options.given[option] for option in _ORDER if options.flag(option))
        return cls(tuple(_condition(given, options.family) for given in found))

    def render(self, style: Style) -> str:
        """Return the clause."""
        parts = (f"{'! ' if one.negated else ''}{one.option} {one.text}" for one in self.conditions)
        return "-m conntrack " + " ".join(parts)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return NO when any condition fails, UNKNOWN when any cannot be told, else YES."""
        answer = Tri.YES
        for condition in self.conditions:
            found = _holds(condition, packet)
            if found is Tri.NO:
                return Tri.NO
            answer = found if answer is Tri.YES else answer
        return answer

    def reads(self) -> tuple[str, ...]:
        """Return the state fields when only the state is asked for."""
        if len(self.conditions) > 1 or self.conditions[0].option != "--ctstate":
            return ("?",)
        words = self.conditions[0].words
        return ("ct_state", *(("ct_dnat",) if "DNAT" in words else ()), *(("ct_snat",) if "SNAT" in words else ()))


def _condition(given: Given, family: Family) -> Condition:
    return read_at(given, lambda text: _read_condition(given, text, family))


def _read_condition(given: Given, text: str, family: Family) -> Condition:
    option, negated = given.name, given.negated
    if option == "--ctstate":
        words = comma_list(text, STATES, "connection state")
        return Condition(option, ",".join(words), negated, words)
    if option == "--ctstatus":
        words = comma_list(text, STATUSES, "connection status")
        return Condition(option, ",".join(words), negated, words)
    if option == "--ctdir":
        word = one_of(text, ("ORIGINAL", "REPLY"), "direction")
        return Condition(option, word, negated, (word,))
    if option == "--ctproto":
        name = protocol_name(text)
        return Condition(option, str(protocol_number(name)), negated, (name,))
    if option in _ADDRESSES:
        return _address_condition(option, text, negated, family)
    low, high = number_range(text) if option == "--ctexpire" else port_range(text)
    return Condition(option, format_range(low, high), negated, (), low, high)


def _address_condition(option: str, text: str, negated: bool, family: Family) -> Condition:
    plain, slash, length = text.partition("/")
    bits = BITS[family]
    prefix = unsigned(length, 8) if slash else bits
    if prefix > bits:
        raise ValueError(f"prefix length {prefix} is over {bits}")
    value, mask = address(plain, family), net_mask(family, prefix)
    shown = format_ip(family, value) + (f"/{prefix}" if prefix < bits else "")
    return Condition(option, shown, negated, (), value & mask, mask)


def _holds(condition: Condition, packet: PacketView) -> Tri:
    if condition.option == "--ctstate":
        return _state(packet, condition.words).inverted(condition.negated)
    if packet.ct_state in ("INVALID", "UNTRACKED"):
        return Tri.NO
    if condition.option == "--ctstatus":
        return _status(packet, condition.words).inverted(condition.negated)
    if condition.option == "--ctproto":
        return tri(packet.protocol == condition.words[0]).inverted(condition.negated)
    if condition.option == "--ctdir":
        return _direction(packet, condition.words[0]).inverted(condition.negated)
    return _tuple_part(condition, packet).inverted(condition.negated)


def _state(packet: PacketView, words: tuple[str, ...]) -> Tri:
    translated = ("DNAT" in words and packet.ct_dnat) or ("SNAT" in words and packet.ct_snat)
    return tri(packet.ct_state in words or translated)


def _status(packet: PacketView, words: tuple[str, ...]) -> Tri:
    if packet.ct_state == "NEW":
        return tri("NONE" in words)
    if packet.ct_state == "ESTABLISHED" and ("SEEN_REPLY" in words or "CONFIRMED" in words):
        return Tri.YES
    return Tri.UNKNOWN


def _direction(packet: PacketView, word: str) -> Tri:
    reply: bool | None = getattr(packet, "ct_reply", None)
    if reply is None:
        return tri(word == "ORIGINAL") if packet.ct_state == "NEW" else Tri.UNKNOWN
    return tri(reply is (word == "REPLY"))


def _tuple_part(condition: Condition, packet: PacketView) -> Tri:
    value = _original(condition.option, packet)
    if value is None:
        return Tri.UNKNOWN
    if condition.option in _ADDRESSES:
        return tri(value & condition.high == condition.low)
    return tri(condition.low <= value <= condition.high)


def _original(option: str, packet: PacketView) -> int | None:
    """Return the part of the connection's tuple that an option names, None when the packet does not tell."""
    plain = {
        "--ctorigsrc": ("ct_orig_src", packet.src, packet.ct_snat),
        "--ctorigdst": ("ct_orig_dst", packet.dst, packet.ct_dnat),
        "--ctorigsrcport": ("ct_orig_sport", packet.sport, packet.ct_snat),
        "--ctorigdstport": ("ct_orig_dport", packet.dport, packet.ct_dnat),
    }
    if option not in plain:
        return None
    field, own, translated = plain[option]
    recorded: int | None = getattr(packet, field, None)
    if recorded is not None:
        return recorded
    return None if translated or packet.ct_state != "NEW" else own


@dataclass(frozen=True, slots=True)
class StateMatch:
    """`-m state [!] --state LIST`: the older spelling of `--ctstate`."""

    OPTIONS: ClassVar[Mapping[str, int]] = {"--state": 1}

    states: tuple[str, ...]
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause."""
        given = options.need("--state")
        states = read_at(given, lambda text: comma_list(text, STATES[:5], "connection state"))
        return cls(states, given.negated)

    def render(self, style: Style) -> str:
        """Return the clause."""
        return f"-m state {'! ' if self.negated else ''}--state {','.join(self.states)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the packet's state is in the list."""
        return tri(packet.ct_state in self.states).inverted(self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return the state."""
        return ("ct_state",)
