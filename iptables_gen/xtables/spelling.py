"""How a typed rule is written in each style."""

from __future__ import annotations

from itertools import chain

from iptables_gen.xtables.ir import Match, Rule, Style
from iptables_gen.xtables.matches.addresses import Address, Builtin, Fragment, Interface, Protocol, save_order
from iptables_gen.xtables.matches.transport import PortMatch, TcpMatch

BUILTINS = (Address, Interface, Protocol, Fragment)


def render_rule(rule: Rule, style: Style) -> str:
    """Return `-A CHAIN …` without counters."""
    parts = _saved(rule.matches) if style is Style.SAVE else _written(rule.matches)
    target = rule.target.render(style) if rule.target else ""
    return " ".join(part for part in chain(("-A", rule.chain), parts, (target,)) if part)


def builtins(matches: tuple[Match, ...]) -> list[Builtin]:
    """Return the clauses that need no `-m`, in the order of the kernel's dump."""
    return sorted((one for one in matches if isinstance(one, BUILTINS)), key=save_order)


def extensions(matches: tuple[Match, ...]) -> list[Match]:
    """Return the `-m` clauses, in written order."""
    return [one for one in matches if not isinstance(one, BUILTINS)]


def _saved(matches: tuple[Match, ...]) -> list[str]:
    return [one.render(Style.SAVE) for one in (*builtins(matches), *extensions(matches))]


def _written(matches: tuple[Match, ...]) -> list[str]:
    """Return the clauses in written order.

    kube-proxy writes `-m tcp -p tcp -d ADDRESS --dport N`: `-p` and `-d` right after a transport match come before its
    options.
    """
    parts: list[str] = []
    waiting = ""
    for one in matches:
        if waiting and not _fits_inside(one):
            parts.append(waiting)
            waiting = ""
        if isinstance(one, (TcpMatch, PortMatch)):
            parts.append(f"-m {one.name}")
            waiting = one.options_text(Style.RESTORE)
        else:
            parts.append(one.render(Style.RESTORE))
    return [*parts, waiting]


def _fits_inside(clause: Match) -> bool:
    return isinstance(clause, Protocol) or (isinstance(clause, Address) and clause.end == "dst" and not clause.negated)
