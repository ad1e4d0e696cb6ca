"""Options that every verb shares, as click decorators; their values arrive as one `Params` mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]


def apply(decorators: Iterable[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Return one decorator that applies several, the first outermost (so help shows them in this order)."""
    listed = tuple(decorators)

    def decorate(function: F) -> F:
        for decorator in reversed(listed):
            function = decorator(function)
        return function

    return decorate


def input_options(function: F) -> F:
    """Add -f, -R, -n, --strict, -q, -v, --color and the what-ifs: all that `open_session` reads."""
    return apply((*_FILES, *_WHAT_IFS, *_TALK))(function)


_FILES = (
    click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        metavar="PATH|-",
        help="Manifests: a file, a directory (*.yaml *.yml *.json) or - for standard input; repeatable.",
    ),
    click.option("-R", "--recursive", is_flag=True, help="Read directories recursively."),
    click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of names without one."),
    click.option("--strict", is_flag=True, help="Treat warnings as errors."),
)
_WHAT_IFS = (
    click.option("--not-ready", multiple=True, metavar="POD", help="What if this pod (pod/NS/NAME) were not ready."),
    click.option("--ready", multiple=True, metavar="POD", help="What if this pod were ready."),
    click.option("--terminating", multiple=True, metavar="POD", help="What if this pod were being deleted."),
    click.option("--phase", multiple=True, metavar="POD=PHASE", help="What if this pod were in this phase."),
    click.option("--strict-refs", is_flag=True, help="Referenced objects that are not in the input do not exist."),
    click.option("--at", default="", metavar="TIME", help="The time (RFC 3339) at which CronJobs are looked at."),
)
_TALK = (
    click.option("-q", "--quiet", is_flag=True, help="No notes and warnings on stderr."),
    click.option("-v", "--verbose", is_flag=True, help="Say more on stderr."),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colour of text output; NO_COLOR is obeyed.",
    ),
)


def output_option(*formats: str, default: str = "text") -> Callable[[F], F]:
    """Add -o/--output with these formats."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(list(formats)),
        default=default,
        show_default=True,
        help="Form of the answer.",
    )


def queries_option(function: F) -> F:
    """Add --queries FILE|-: JSON lines in, one compact JSON object a line out."""
    return click.option(
        "--queries", default="", metavar="FILE|-", help="Answer many queries: JSON lines in, JSON lines out."
    )(function)
