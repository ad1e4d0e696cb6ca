"""Matches that depend on chance, time or memory: statistic, recent, limit, hashlimit.

Source:  iptables-extensions(8); kernel net/netfilter/xt_statistic.c, xt_recent.c, xt_limit.c, xt_hashlimit.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, Self

from iptables_gen.values import BITS, Family, format_ip, net_mask
from iptables_gen.view import HostView, PacketView, Tri, tri
from iptables_gen.xtables.ir import Style
from iptables_gen.xtables.options import Options, address, read_at, unsigned
from iptables_gen.xtables.probability import read_probability, restore_digits, save_digits
from iptables_gen.xtables.words import WordError, restore_string


def _bang(negated: bool) -> str:
    return "! " if negated else ""


@dataclass(frozen=True, slots=True)
class StatisticMatch:
    """`-m statistic --mode random [!] --probability P`, or `--mode nth [!] --every N --packet K`.

    The evaluator forks on it: `share` is the exact chance to match. The counter of `nth` is taken to stand anywhere.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--mode": 1, "--probability": 1, "--every": 1, "--packet": 1}

    probability: Fraction = Fraction(1)
    every: int = 0
    packet: int = 0
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause.

        Raises:  WordError for a mode that is neither random nor nth, and for missing numbers.
        """
        mode = options.need("--mode")
        if mode.values[0] == "random":
            given = options.need("--probability")
            return cls(probability=read_at(given, read_probability), negated=given.negated)
        if mode.values[0] != "nth":
            raise WordError(f"{mode.values[0]!r} is not a mode of statistic", mode.column)
        given = options.need("--every")
        every, packet = read_at(given, unsigned), read_at(options.need("--packet"), unsigned)
        if not packet < every:
            raise WordError(f"--packet {packet} is not below --every {every}", given.column)
        return cls(every=every, packet=packet, negated=given.negated)

    @property
    def share(self) -> Fraction:
        """Return the chance that a packet matches."""
        share = Fraction(1, self.every) if self.every else self.probability
        return 1 - share if self.negated else share

    def render(self, style: Style) -> str:
        """Return the clause."""
        if self.every:
            return f"-m statistic --mode nth {_bang(self.negated)}--every {self.every} --packet {self.packet}"
        digits = restore_digits if style is Style.RESTORE else save_digits
        return f"-m statistic --mode random {_bang(self.negated)}--probability {digits(self.probability)}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return YES or NO for a certain share, else UNKNOWN: the evaluator forks."""
        return tri(self.share == 1) if self.share in (0, 1) else Tri.UNKNOWN

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


_RECENT_ACTIONS: Final = ("--set", "--rcheck", "--update", "--remove")


@dataclass(frozen=True, slots=True)
class RecentMatch:
    """`-m recent [!] --set|--rcheck|--update|--remove [--name TABLE] …`: a table of addresses seen.

    Units:   seconds (0: no limit); hitcount packets; mask an integer of the family's width.
    A new client is in no table; `host.affinity_age(table, …)` says since when an address is in it.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(
        (*_RECENT_ACTIONS, "--reap", "--rttl", "--rsource", "--rdest"), 0
    ) | dict.fromkeys(("--name", "--seconds", "--hitcount", "--mask"), 1)

    action: str
    table: str
    family: Family
    mask: int
    seconds: int = 0
    hitcount: int = 0
    reap: bool = False
    rttl: bool = False
    destination: bool = False
    negated: bool = False

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; the table is DEFAULT and the mask full when absent."""
        action, family = options.need(*_RECENT_ACTIONS), options.family
        return cls(
            action.name,
            options.text("--name") or "DEFAULT",
            family,
            options.read("--mask", lambda text: address(text, family), net_mask(family, BITS[family])),
            options.read("--seconds", unsigned, 0),
            options.read("--hitcount", unsigned, 0),
            options.flag("--reap"),
            options.flag("--rttl"),
            options.flag("--rdest"),
            action.negated,
        )

    def render(self, style: Style) -> str:
        """Return the clause in kube-proxy's order (name first, defaults left out) or the kernel's."""
        action = _bang(self.negated) + self.action
        limits = [f"--seconds {self.seconds}"] if self.seconds else []
        limits += ["--reap"] if self.reap else []
        limits += [f"--hitcount {self.hitcount}"] if self.hitcount else []
        limits += ["--rttl"] if self.rttl else []
        mask = f"--mask {format_ip(self.family, self.mask)}"
        side = "--rdest" if self.destination else "--rsource"
        if style is Style.SAVE:
            return " ".join(["-m recent", action, *limits, f"--name {self.table}", mask, side])
        tail = [mask] if self.mask != net_mask(self.family, BITS[self.family]) else []
        tail += [side] if self.destination else []
        return " ".join([f"-m recent --name {self.table}", action, *limits, *tail])

    def seen(self, packet: PacketView) -> int:
        """Return the address that the table would hold for the packet."""
        return (packet.dst if self.destination else packet.src) & self.mask

    @property
    def remembers(self) -> bool:
        """Return whether a packet leaves its address in the table."""
        return self.action in ("--set", "--update")

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return whether the address is in the table, young enough; `--set` always matches."""
        if self.action == "--set":
            return tri(not self.negated)
        age = host.affinity_age(self.table, self.family, self.seen(packet))
        if age is None or (self.seconds and age >= self.seconds and self.action != "--remove"):
            return tri(self.negated)
        if self.rttl or self.hitcount > 1:
            return Tri.UNKNOWN
        return tri(not self.negated)

    def reads(self) -> tuple[str, ...]:
        """Return `?`, and the address when it is remembered (the effect names it)."""
        return ("?", "dst" if self.destination else "src") if self.remembers else ("?",)


_UNITS: Final = {"sec": 1, "min": 60, "hour": 3600, "day": 86400}
_RATE: Final = re.compile(r"([0-9]+)(?:/([a-z]+))?")
_SCALE: Final = 10_000


@dataclass(frozen=True, slots=True)
class LimitMatch:
    """`-m limit --limit N/UNIT --limit-burst B`: a token bucket. One packet alone is within it.

    Units:   `average` in ten-thousandths of a second per packet, as the kernel keeps it.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = {"--limit": 1, "--limit-burst": 1}
    assumes: ClassVar[str] = "the rate limit is not exceeded"

    average: int = 12_000_000
    burst: int = 5

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; 3/hour and burst 5 are the defaults."""
        return cls(options.read("--limit", _rate, 12_000_000), options.read("--limit-burst", unsigned, 5))

    def render(self, style: Style) -> str:
        """Return the clause."""
        burst = f" --limit-burst {self.burst}" if self.burst != 5 else ""
        return f"-m limit --limit {_rate_text(self.average)}{burst}"

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return YES: the evaluator adds what was assumed."""
        return Tri.YES

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()


def _rate(text: str) -> int:
    found = _RATE.fullmatch(text)
    unit = found and next((unit for unit in _UNITS if _is_unit(found[2] or "sec", unit)), None)
    if not found or not unit or not int(found[1]):
        raise ValueError(f"{text!r} is not a rate")
    average = _UNITS[unit] * _SCALE // int(found[1])
    if not average:
        raise ValueError(f"rate {text} is too fast")
    return average


def _is_unit(text: str, unit: str) -> bool:
    return {"sec": "second", "min": "minute", "hour": "hour", "day": "day"}[unit].startswith(text)


def _rate_text(average: int) -> str:
    """Return the smallest unit that shows the rate without losing much, as libxt_limit's print_rate() chooses it."""
    shown = "day"
    for unit in ("hour", "min", "sec"):
        scaled = _UNITS[unit] * _SCALE
        if average > scaled or scaled // average < scaled % average:
            break
        shown = unit
    return f"{_UNITS[shown] * _SCALE // average}/{shown}"


_HASHLIMIT_ORDER: Final = (
    *("--hashlimit-upto", "--hashlimit-above", "--hashlimit", "--hashlimit-burst", "--hashlimit-mode"),
    *("--hashlimit-name", "--hashlimit-htable-size", "--hashlimit-htable-max", "--hashlimit-htable-gcinterval"),
    *("--hashlimit-htable-expire", "--hashlimit-srcmask", "--hashlimit-dstmask", "--hashlimit-rate-interval"),
)


@dataclass(frozen=True, slots=True)
class HashlimitMatch:
    """`-m hashlimit --hashlimit-upto|--hashlimit-above RATE …`: one bucket for each address. One packet alone is below.

    Options are kept as they are written, in the order of the kernel's dump, the burst always there.
    """

    OPTIONS: ClassVar[Mapping[str, int]] = dict.fromkeys(_HASHLIMIT_ORDER, 1)
    assumes: ClassVar[str] = "the rate limit is not exceeded"

    options: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, name: str, options: Options) -> Self:
        """Return the clause; `! --hashlimit-upto` is `--hashlimit-above`."""
        rate = options.need("--hashlimit-upto", "--hashlimit", "--hashlimit-above")
        above = (rate.name == "--hashlimit-above") is not rate.negated
        found = {given.name: given.values[0] for given in options.given.values() if given.name != rate.name}
        found |= {"--hashlimit-above" if above else "--hashlimit-upto": rate.values[0]}
        found.setdefault("--hashlimit-burst", "5")
        return cls(tuple((option, found[option]) for option in _HASHLIMIT_ORDER if option in found))

    def render(self, style: Style) -> str:
        """Return the clause."""
        return "-m hashlimit " + " ".join(f"{name} {restore_string(value)}" for name, value in self.options)

    def matches(self, packet: PacketView, host: HostView) -> Tri:
        """Return YES for a rule for packets below the rate, else NO."""
        return tri(self.options[0][0] == "--hashlimit-upto")

    def reads(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()
