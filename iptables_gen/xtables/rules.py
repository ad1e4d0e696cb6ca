"""Reading one rule: words of `-A CHAIN …` to a typed `Rule`.

Options may stand apart from their `-m` (kube-proxy writes `-m tcp -p tcp -d ADDRESS --dport N`): an option belongs to
the match loaded last that has it, and `-p tcp` alone is enough to use the options of `-m tcp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from iptables_gen.values import Family
from iptables_gen.xtables.ir import Counters, Match, Rule, Target
from iptables_gen.xtables.matches import MATCHES
from iptables_gen.xtables.matches.addresses import Address, Fragment, Interface, Protocol
from iptables_gen.xtables.matches.misc import OpaqueMatch
from iptables_gen.xtables.options import Given, Options
from iptables_gen.xtables.targets import EXTENSIONS, TARGETS
from iptables_gen.xtables.targets.verdicts import JumpTarget, OpaqueTarget
from iptables_gen.xtables.words import Word, WordError, quoted, restore_string

_SHORT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d", "--protocol": "-p", "--proto": "-p",
        "--in-interface": "-i", "--out-interface": "-o", "--fragment": "-f", "--fragments": "-f", "--match": "-m",
        "--jump": "-j", "--goto": "-g", "--ipv4": "-4", "--ipv6": "-6", "--set-counters": "-c",
    }
)  # fmt: skip
_PLAIN: Final = frozenset(["-s", "-d", "-p", "-i", "-o", "-f", "-m", "-j", "-g", "-4", "-6", "-c"])
_ONCE: Final = ("-s", "-d", "-p", "-i", "-o", "-f", "-c")
_IMPLIED: Final[Mapping[str, str]] = MappingProxyType({"ipv6-icmp": "icmp6"})


@dataclass(slots=True)
class Clause:
    """A match or target while its options are collected; `known` None: the model does not know it."""

    name: str
    known: Mapping[str, int] | None
    options: Options
    raw: list[str] = field(default_factory=list)


class Plain(NamedTuple):
    """A clause without `-m`: `-s`, `-d`, `-i` or `-o`, and its value."""

    option: str
    value: Word
    negated: bool


Part = Match | Clause | Plain


@dataclass(slots=True)
class Draft:
    """A rule half read: whose options are, but not what they mean. Parts stand in written order."""

    family: Family
    words: list[Word]
    at: int = 2
    parts: list[Part] = field(default_factory=list)
    target: Clause | JumpTarget | None = None
    protocol: str = ""
    latest: Clause | None = None
    counters: Counters | None = None
    once: tuple[str, ...] = ()


def draft_rule(words: list[Word], family: Family) -> Draft:
    """Return the words `-A CHAIN …` sorted into clauses.

    Raises:  WordError with the column of what cannot be understood.
    """
    if len(words) < 2 or words[0].text not in ("-A", "--append"):
        column = words[0].column if words else 1
        raise WordError("a rule begins with -A CHAIN", column)
    draft = Draft(family, words)
    while draft.at < len(words):
        _read_clause(draft)
    return draft


def read_rule(words: list[Word], table: str, family: Family, counters: Counters | None = None) -> Rule:
    """Return the rule of the words `-A CHAIN …`.

    Raises:  WordError with the column of what cannot be understood.
    """
    draft = draft_rule(words, family)
    matches = tuple([finish_match(part, family) for part in draft.parts])
    target = finish_target(draft.target) if isinstance(draft.target, Clause) else draft.target
    return Rule(table, words[1].text, matches, target, counters=draft.counters or counters)


def _read_clause(reader: Draft) -> None:
    word = reader.words[reader.at]
    negated = word.text == "!" and not word.quoted
    if negated:
        reader.at += 1
        if reader.at == len(reader.words):
            raise WordError("nothing follows !", word.column)
        word = reader.words[reader.at]
    option = _SHORT.get(word.text, word.text)
    reader.at += 1
    if option in _PLAIN and not word.quoted:
        _read_plain(reader, option, word, negated)
    elif option.startswith("--") and len(option) > 2:
        _read_option(reader, word, negated)
    else:
        raise WordError(f"{word.text!r} is not an option", word.column)


def _next(reader: Draft, option: Word) -> Word:
    if reader.at == len(reader.words):
        raise WordError(f"{option.text} needs a value", option.column)
    reader.at += 1
    return reader.words[reader.at - 1]


def _read_plain(reader: Draft, option: str, word: Word, negated: bool) -> None:
    if option in ("-m", "-j", "-g", "-c", "-4", "-6") and negated:
        raise WordError(f"! cannot stand before {word.text}", word.column)
    if option in reader.once:
        raise WordError(f"{option} is given twice", word.column)
    reader.once += (option,) if option in _ONCE else ()
    if option == "-f":
        reader.parts.append(Fragment(negated))
    elif option == "-m":
        _load_match(reader, _next(reader, word))
    elif option in ("-j", "-g"):
        _load_target(reader, option, word, _next(reader, word))
    elif option == "-c":
        reader.counters = (_count(_next(reader, word)), _count(_next(reader, word)))
    elif option in ("-s", "-d", "-p", "-i", "-o"):
        reader.parts.append(_plain_value(reader, option, _next(reader, word), negated))


def _plain_value(reader: Draft, option: str, value: Word, negated: bool) -> Part:
    if option != "-p":
        return Plain(option, value, negated)
    try:
        clause = Protocol.parse(value.text, negated)
    except ValueError as error:
        raise WordError(str(error), value.column) from error
    reader.protocol, reader.latest = ("" if negated else clause.name), None
    return clause


def _count(word: Word) -> int:
    if not word.text.isdecimal():
        raise WordError(f"{word.text!r} is not a counter", word.column)
    return int(word.text)


def _load_match(reader: Draft, name: Word) -> None:
    kind = MATCHES.get(name.text)
    if not name.text or not name.text.replace("_", "a").replace("-", "a").isalnum():
        raise WordError(f"{name.text!r} is not the name of a match", name.column)
    options = Options(reader.family, name.column)
    reader.latest = Clause(name.text, kind.options if kind else None, options)
    reader.parts.append(reader.latest)


def _load_target(reader: Draft, option: str, word: Word, name: Word) -> None:
    if reader.target is not None:
        raise WordError("a rule has one target", word.column)
    if option == "-g":
        reader.target, reader.latest = JumpTarget(name.text, goto=True), None
        return
    kind = TARGETS.get(name.text)
    follows = reader.at < len(reader.words) and reader.words[reader.at].text.startswith("--")
    if kind is None and name.text not in EXTENSIONS and not (follows and not _owner(reader, reader.words[reader.at])):
        reader.target, reader.latest = JumpTarget(name.text), None
        return
    reader.target = reader.latest = Clause(name.text, kind.options if kind else None, Options(reader.family))
    reader.target.options.column = name.column


def _read_option(reader: Draft, word: Word, negated: bool) -> None:
    latest = reader.latest
    if latest is not None and latest.known is None:
        _read_raw(reader, latest, word, negated)
        return
    found = _owner(reader, word)
    if found is None:
        raise WordError(f"unknown option {word.text.partition('=')[0]}", word.column)
    clause, name = found
    reader.latest = clause
    _, equals, inline = word.text.partition("=")
    wanted = (clause.known or {})[name]
    words = [Word(inline, word.column + len(name) + 1)] if equals and wanted else []
    words += [_next(reader, word) for _ in range(wanted - len(words))]
    column = words[0].column if words else word.column
    clause.options.add(Given(name, tuple(one.text for one in words), negated, column))


def _owner(reader: Draft, word: Word) -> tuple[Clause, str] | None:
    """Return the clause an option belongs to, and the option's full name (getopt takes unique beginnings)."""
    asked = word.text.partition("=")[0]
    clauses = [part for part in reversed(reader.parts) if isinstance(part, Clause) and part.known is not None]
    if isinstance(reader.target, Clause) and reader.target.known is not None:
        clauses.insert(0, reader.target)
    for clause in clauses:
        if clause.known is not None and asked in clause.known:
            return clause, asked
    begun = [(clause, name) for clause in clauses for name in clause.known or () if name.startswith(asked)]
    implied = _IMPLIED.get(reader.protocol, reader.protocol)
    options = MATCHES[implied].options if implied in MATCHES else {}
    own = [name for name in options if name.startswith(asked)]
    if asked in options or (len(own) == 1 and not begun and len(asked) > 3):
        _load_match(reader, Word(implied, word.column))
        return (reader.latest, asked if asked in options else own[0]) if reader.latest else None
    return begun[0] if len(begun) == 1 and len(asked) > 3 else None


def _read_raw(reader: Draft, clause: Clause, word: Word, negated: bool) -> None:
    """Collect an option of a clause the model does not know: its values are the words up to the next option."""
    clause.raw += ["!"] if negated else []
    clause.raw.append(word.text)
    while reader.at < len(reader.words):
        value = reader.words[reader.at]
        if not value.quoted and (value.text == "!" or value.text.startswith("-")):
            return
        clause.raw.append(quoted(value.text) if value.quoted else restore_string(value.text))
        reader.at += 1


def finish_match(part: Part, family: Family) -> Match:
    """Return the typed clause.

    Raises:  WordError with the column of a value that cannot be understood.
    """
    if isinstance(part, Plain):
        return _finish_plain(part, family)
    if not isinstance(part, Clause):
        return part
    kind = MATCHES.get(part.name)
    if kind is None:
        return OpaqueMatch(part.name, " ".join(part.raw))
    return kind.parse(part.name, part.options)


def _finish_plain(part: Plain, family: Family) -> Match:
    option, value, negated = part
    try:
        if option in ("-i", "-o"):
            return Interface.parse("in" if option == "-i" else "out", value.text, negated)
        if "," in value.text:
            raise ValueError("several addresses in one rule: write a rule for each")
        return Address.parse("src" if option == "-s" else "dst", value.text, family, negated)
    except ValueError as error:
        raise WordError(str(error), value.column) from error


def finish_target(clause: Clause) -> Target:
    """Return the typed target.

    Raises:  WordError with the column of a value that cannot be understood.
    """
    kind = TARGETS.get(clause.name)
    if kind is None:
        return OpaqueTarget(clause.name, " ".join(clause.raw))
    return kind.parse(clause.name, clause.options)
