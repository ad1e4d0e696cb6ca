"""Rows to typed rules: a template is read once, a row only fills in what its arguments change."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Match, Row, RowTemplate, Rule, Style, Target
from iptables_gen.xtables.matches.misc import CommentMatch
from iptables_gen.xtables.options import Given, Options
from iptables_gen.xtables.rules import Clause, Part, Plain, draft_rule, finish_match, finish_target, read_rule
from iptables_gen.xtables.targets.verdicts import JumpTarget
from iptables_gen.xtables.words import Word, WordError, split_words

_HOLE: Final = re.compile(r"\{(\d+)\}")
_WHOLE: Final = re.compile(r"\{(\d+)\}\Z")

Args = tuple[str, ...]
MakeMatch = Callable[[Args], Match]
MakeTarget = Callable[[Args], Target | None]


class Typed(NamedTuple):
    """What a template makes of arguments: its matches in written order, and its target."""

    matches: tuple[MakeMatch, ...]
    target: MakeTarget


def typed(row: Row, family: Family) -> Rule:
    """Return the rule that a row stands for.

    Raises:  RulesetSyntaxError when the filled template is no rule.
    """
    matches, target = clauses(row, family)
    return Rule(row.table, row.chain, matches, target, row.origin)


def clauses(row: Row, family: Family) -> tuple[tuple[Match, ...], Target | None]:
    """Return a row's matches, in written order, and its target.

    Raises:  RulesetSyntaxError when the filled template is no rule.
    """
    args = row.args
    try:
        if any('"' in arg or "\\" in arg for arg in args):
            rule = read_rule(split_words(row.render(Style.RESTORE)), row.table, family)
            return rule.matches, rule.target
        matches, target = _typed_template(row.template, family)
        return tuple([make(args) for make in matches]), target(args)
    except WordError as error:
        text = row.render(Style.RESTORE)
        raise RulesetSyntaxError(error.problem, line=1, column=error.column, text=text) from None


@lru_cache(maxsize=1 << 12)
def _typed_template(template: RowTemplate, family: Family) -> Typed:
    draft = draft_rule(split_words(template.restore), family)
    matches = tuple([_match_maker(part, family) for part in draft.parts])
    return Typed(matches, _target_maker(draft.target))


def _match_maker(part: Part, family: Family) -> MakeMatch:
    if isinstance(part, Plain) and _HOLE.search(part.value.text):
        option, value, negated = part
        return lambda args: finish_match(Plain(option, Word(value.text.format(*args), 1), negated), family)
    if isinstance(part, Clause) and _holed(part):
        if part.name == "comment":
            text = part.options.need("--comment").values[0]
            return lambda args: CommentMatch(text.format(*args))
        return lambda args: finish_match(_filled(part, args), family)
    done = finish_match(_literal(part), family)
    return lambda args: done


def _target_maker(target: Clause | JumpTarget | None) -> MakeTarget:
    if isinstance(target, JumpTarget):
        found = _WHOLE.match(target.chain)
        if found:
            index, goto = int(found[1]), target.goto
            return lambda args: JumpTarget(args[index], goto)
        plain = JumpTarget(target.chain.format(), target.goto)
        return lambda args: plain
    if target is None:
        return lambda args: None
    if _holed(target):
        return lambda args: finish_target(_filled(target, args))
    done = finish_target(_filled(target, ()))
    return lambda args: done


def _literal(part: Part) -> Part:
    """Return a part without holes as it is meant: doubled braces stand for single ones."""
    if isinstance(part, Plain):
        return Plain(part.option, Word(part.value.text.format(), part.value.column), part.negated)
    return _filled(part, ()) if isinstance(part, Clause) else part


def _holed(clause: Clause) -> bool:
    values = [value for given in clause.options.given.values() for value in given.values]
    return any(_HOLE.search(value) for value in (*values, *clause.raw))


def _filled(clause: Clause, args: Args) -> Clause:
    given = {
        name: Given(name, tuple([value.format(*args) for value in one.values]), one.negated, one.column)
        for name, one in clause.options.given.items()
    }
    options = Options(clause.options.family, clause.options.column, given)
    return Clause(clause.name, clause.known, options, [word.format(*args) for word in clause.raw])
