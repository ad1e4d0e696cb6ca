"""Rows to typed rules: a template is read once, a row only fills in what its arguments change."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.values import BITS, Family, net_mask
from iptables_gen.xtables.ir import Match, Row, RowTemplate, Rule, Style, Target
from iptables_gen.xtables.matches.addresses import Address
from iptables_gen.xtables.matches.chance import StatisticMatch
from iptables_gen.xtables.matches.misc import CommentMatch
from iptables_gen.xtables.options import Given, Options, address
from iptables_gen.xtables.probability import read_probability
from iptables_gen.xtables.rules import Clause, Part, Plain, draft_rule, finish_match, finish_target, read_rule
from iptables_gen.xtables.targets.nat import DnatTarget, NatRange
from iptables_gen.xtables.targets.verdicts import JumpTarget
from iptables_gen.xtables.words import Word, WordError, split_words

_HOLE: Final = re.compile(r"\{(\d+)\}")
_WHOLE: Final = re.compile(r"\{(\d+)\}\Z")

Args = tuple[str, ...]


class MatchSlot(NamedTuple):
    """A clause of a template: `make` gives it for arguments; `fixed` when no argument changes it."""

    make: Callable[[Args], Match]
    fixed: Match | None = None
    comment: bool = False


class TargetSlot(NamedTuple):
    """The target of a template: `make` gives it for arguments; `fixed` when no argument changes it.

    `jump`: the argument that names the chain jumped to.
    """

    make: Callable[[Args], Target | None]
    fixed: Target | None = None
    jump: int | None = None


class Typed(NamedTuple):
    """A template read: its clauses in written order, its target, and the arguments that fill more than comments."""

    matches: tuple[MatchSlot, ...]
    target: TargetSlot
    words: tuple[int, ...]


def typed(row: Row, family: Family) -> Rule:
    """Return the rule that a row stands for.

    Raises:  RulesetSyntaxError when the filled template is no rule.
    """
    args = row.args
    try:
        if any(needs_reading(arg) for arg in args):
            rule = spelled_out(row, family)
            matches, target = rule.matches, rule.target
        else:
            found = typed_template(row.template, family)
            matches, target = tuple([slot.make(args) for slot in found.matches]), found.target.make(args)
    except WordError as error:
        text = row.render(Style.RESTORE)
        raise RulesetSyntaxError(error.problem, line=1, column=error.column, text=text) from None
    return Rule(row.table, row.chain, matches, target, row.origin)


def needs_reading(arg: str) -> bool:
    """Return whether an argument is more than plain text: then the whole line has to be split into words."""
    return '"' in arg or "\\" in arg


def spelled_out(row: Row, family: Family) -> Rule:
    """Return a row's rule by reading its text word by word.

    Raises:  WordError when it is no rule.
    """
    return read_rule(split_words(row.render(Style.RESTORE)), row.table, family)


@lru_cache(maxsize=1 << 12)
def typed_template(template: RowTemplate, family: Family) -> Typed:
    """Return a template read.

    Raises:  WordError when it is no rule.
    """
    draft = draft_rule(split_words(template.restore), family)
    matches = tuple([_match_slot(part, family) for part in draft.parts])
    words = {
        int(hole)
        for part in (*draft.parts, draft.target)
        if not (isinstance(part, Clause) and part.name == "comment")
        for hole in _HOLE.findall(" ".join(_values(part)))
    }
    return Typed(matches, _target_slot(draft.target, family), tuple(sorted(words)))


def _match_slot(part: Part, family: Family) -> MatchSlot:
    if not _HOLE.search(" ".join(_values(part))):
        done = finish_match(_filled(part, ()), family)
        return MatchSlot(lambda args: done, done)
    if isinstance(part, Clause) and part.name == "comment":
        text = part.options.need("--comment").values[0]
        return MatchSlot(lambda args: CommentMatch(text.format(*args)), comment=True)
    if isinstance(part, Clause) and (maker := _statistic_maker(part)):
        return MatchSlot(maker)
    whole = _WHOLE.match(part.value.text) if isinstance(part, Plain) and part.option in ("-s", "-d") else None
    if whole and isinstance(part, Plain):
        return MatchSlot(_address_maker(part, int(whole[1]), family))
    return MatchSlot(lambda args: finish_match(_filled(part, args), family))


def _address_maker(part: Plain, index: int, family: Family) -> Callable[[Args], Match]:
    full, negated = net_mask(family, BITS[family]), part.negated
    end: Literal["src", "dst"] = "src" if part.option == "-s" else "dst"

    def make(args: Args) -> Match:
        text = args[index]
        if "/" in text:
            return finish_match(Plain(part.option, Word(text, 1), negated), family)
        return Address(end, family, address(text, family), full, negated, True)

    return make


def _statistic_maker(part: Clause) -> Callable[[Args], Match] | None:
    """Return the short way for `--mode random --probability {n}`: large rulesets have one for each endpoint."""
    given = part.options.given.get("--probability")
    if part.name != "statistic" or not given or part.options.text("--mode") != "random":
        return None
    whole, negated = _WHOLE.match(given.values[0]), given.negated
    if not whole:
        return None
    index = int(whole[1])
    return lambda args: StatisticMatch(read_probability(args[index]), negated=negated)


def _target_slot(target: Clause | JumpTarget | None, family: Family) -> TargetSlot:
    if target is None:
        return TargetSlot(lambda args: None)
    holed = _HOLE.search(" ".join(_values(target)))
    if isinstance(target, JumpTarget):
        return _jump_slot(target)
    if not holed:
        done = finish_target(_filled_clause(target, ()))
        return TargetSlot(lambda args: done, done)
    to = target.options.given.get("--to-destination")
    whole = _WHOLE.match(to.values[0]) if to and target.name == "DNAT" and len(target.options.given) == 1 else None
    if whole:
        index = int(whole[1])
        return TargetSlot(lambda args: DnatTarget(NatRange.parse(args[index], family)))
    return TargetSlot(lambda args: finish_target(_filled_clause(target, args)))


def _jump_slot(target: JumpTarget) -> TargetSlot:
    goto, whole = target.goto, _WHOLE.match(target.chain)
    if whole:
        index = int(whole[1])
        return TargetSlot(lambda args: JumpTarget(args[index], goto), jump=index)
    if _HOLE.search(target.chain):
        return TargetSlot(lambda args: JumpTarget(target.chain.format(*args), goto))
    done = JumpTarget(target.chain.format(), goto)
    return TargetSlot(lambda args: done, done)


def _values(part: Part | JumpTarget | None) -> list[str]:
    """Return the texts of a clause that may have holes."""
    if isinstance(part, Plain):
        return [part.value.text]
    if isinstance(part, Clause):
        return [*(value for given in part.options.given.values() for value in given.values), *part.raw]
    return [part.chain] if isinstance(part, JumpTarget) else []


def _filled(part: Part, args: Args) -> Part:
    """Return a clause with its holes filled and doubled braces made single."""
    if isinstance(part, Plain):
        return Plain(part.option, Word(part.value.text.format(*args), part.value.column), part.negated)
    return _filled_clause(part, args) if isinstance(part, Clause) else part


def _filled_clause(clause: Clause, args: Args) -> Clause:
    given = {
        name: Given(name, tuple([value.format(*args) for value in one.values]), one.negated, one.column)
        for name, one in clause.options.given.items()
    }
    options = Options(clause.options.family, clause.options.column, given)
    return Clause(clause.name, clause.known, options, [word.format(*args) for word in clause.raw])
