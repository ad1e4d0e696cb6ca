"""Options of one clause, and the number formats that iptables reads.

A class of `matches` or `targets` names its options (`OPTIONS`: name to number of values); the rule parser collects
them and hands them over as `Options`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from iptables_gen.values import Family, parse_ip
from iptables_gen.xtables.words import WordError

T = TypeVar("T")
Reader = Callable[[str], T]

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


class Given(NamedTuple):
    """One option as written. `column` is that of its first value (or of the option itself)."""

    name: str
    values: tuple[str, ...]
    negated: bool
    column: int


@dataclass(slots=True)
class Options:
    """The options of one clause while a rule is parsed."""

    family: Family
    column: int = 1
    given: dict[str, Given] = field(default_factory=dict)

    def add(self, option: Given) -> None:
        """Add an option.

        Raises:  WordError when it was given before.
        """
        if option.name in self.given:
            raise WordError(f"option {option.name} is given twice", option.column)
        self.given[option.name] = option

    def flag(self, name: str) -> bool:
        """Return whether the option is there."""
        return name in self.given

    def negated(self, *names: str) -> bool:
        """Return whether any of the options is there with `!`."""
        return any(self.given[name].negated for name in names if name in self.given)

    def text(self, name: str) -> str | None:
        """Return the option's (first) value, None when it is absent."""
        found = self.given.get(name)
        return found.values[0] if found else None

    def need(self, *names: str) -> Given:
        """Return the first of the options that is there.

        Raises:  WordError when none is.
        """
        for name in names:
            if name in self.given:
                return self.given[name]
        raise WordError(f"option {' or '.join(names)} is missing", self.column)

    def read(self, name: str, reader: Reader[T], default: T) -> T:
        """Return a value read by *reader*, *default* when the option is absent.

        Raises:  WordError at the value's column when *reader* refuses it.
        """
        found = self.given.get(name)
        return default if found is None else read_at(found, reader)


def read_at(option: Given, reader: Reader[T]) -> T:
    """Return the option's value read by *reader*.

    Raises:  WordError at its column when *reader* raises ValueError.
    """
    try:
        return reader(option.values[0])
    except ValueError as error:
        raise WordError(f"{option.name}: {error}", option.column) from error


def unsigned(text: str, bits: int = 32) -> int:
    """Return a number as strtoul(…, 0) reads it (decimal, `0x` hexadecimal, `0` octal) that fits *bits*."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    base = 16 if text[1:2] in ("x", "X") else 8 if text[0] == "0" and len(text) > 1 else 10
    try:
        value = int(text, base)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if value >> bits:
        raise ValueError(f"{text!r} does not fit {bits} bits")
    return value


def value_and_mask(text: str) -> tuple[int, int]:
    """Return (value, mask) of `VALUE[/MASK]`, both 32 bits; the mask defaults to all ones."""
    value, slash, mask = text.partition("/")
    return unsigned(value), unsigned(mask) if slash else 0xFFFF_FFFF


def port(text: str) -> int:
    """Return a port number; names are looked up in the services database."""
    if text and not text[0].isdigit():
        try:
            return socket.getservbyname(text)
        except OSError:
            raise ValueError(f"{text!r} is not a port") from None
    try:
        return unsigned(text, 16)
    except ValueError:
        raise ValueError(f"{text!r} is not a port") from None


def port_range(text: str) -> tuple[int, int]:
    """Return (low, high) of `PORT`, `LOW:HIGH`, `:HIGH` or `LOW:`."""
    low, colon, high = text.partition(":")
    if not colon:
        return port(low), port(low)
    found = (port(low) if low else 0), (port(high) if high else 65535)
    if found[0] > found[1]:
        raise ValueError(f"port range {text!r} is backwards")
    return found


def format_range(low: int, high: int, between: str = ":") -> str:
    """Return `LOW` or `LOW:HIGH`."""
    return str(low) if low == high else f"{low}{between}{high}"


def number_range(text: str, bits: int = 32) -> tuple[int, int]:
    """Return (low, high) of `N`, `LOW:HIGH`, `:HIGH` or `LOW:`."""
    low, colon, high = text.partition(":")
    if not colon:
        return unsigned(low, bits), unsigned(low, bits)
    return (unsigned(low, bits) if low else 0), (unsigned(high, bits) if high else (1 << bits) - 1)


def address_range(text: str, family: Family) -> tuple[int, int]:
    """Return (low, high) of `ADDRESS[-ADDRESS]`."""
    low, dash, high = text.partition("-")
    first = address(low, family)
    last = address(high, family) if dash else first
    if last < first:
        raise ValueError(f"address range {text!r} is backwards")
    return first, last


def address(text: str, family: Family) -> int:
    """Return the value of an address of the family."""
    if family == 4:
        # The common case of large rulesets, several times faster than `ipaddress`.
        try:
            return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
        except (OSError, ValueError):
            pass
    found, value = parse_ip(text)
    if found != family:
        raise ValueError(f"{text!r} is not an IPv{family} address")
    return value


def one_of(text: str, words: Mapping[str, object] | tuple[str, ...], what: str) -> str:
    """Return *text* in upper case.

    Raises:  ValueError when it is none of *words*.
    """
    if text.upper() not in words:
        raise ValueError(f"{text!r} is no {what}")
    return text.upper()


def comma_list(text: str, words: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list, upper case, in the order of *words* (the kernel keeps a bit set)."""
    given = {one_of(word, words, what) for word in text.split(",")}
    return tuple(word for word in words if word in given)
