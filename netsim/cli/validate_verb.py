"""`netsim validate`: what the API server would say of each object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from netsim.cli.options import input_options, output_option
from netsim.cli.terminal import progress
from netsim.errors import ManifestErrors, Problem, UsageError
from netsim.validate.judge import Verdict


@click.command(name="validate")
@input_options
@output_option("text", "json")
def command(**params: Any) -> int:
    """Say what the API server (v1.36) would say of each object, in its words and field paths."""
    filenames = tuple(params["filenames"])
    if not filenames:
        raise UsageError("no input: name the manifests with -f FILE, -f DIRECTORY or -f - (standard input)")
    verdict, objects = _verdict(filenames, params)
    strict = bool(params["strict"])
    valid = not verdict.errors and not (strict and verdict.warnings)
    if params["output"] == "json":
        click.echo(json.dumps(answer(verdict, valid=valid), indent=2, ensure_ascii=False))
    else:
        for line in lines(verdict, objects, quiet=bool(params["quiet"])):
            click.echo(line)
    return 0 if valid else 1


def _verdict(filenames: Sequence[str], params: dict[str, Any]) -> tuple[Verdict, int]:
    """Load and judge; raise ManifestErrors (exit 2) when a file cannot be read at all."""
    from netsim.manifests.load import load
    from netsim.manifests.sources import UNREADABLE
    from netsim.validate.judge import judge
    from netsim.validate.ranges import service_ranges

    with progress("reading manifests"):
        loaded = load(filenames, recursive=params["recursive"], stdin=sys.stdin.buffer, keep_bad=True)
    unreadable = [problem for problem in loaded.problems if problem.reason == UNREADABLE]
    if unreadable:
        raise ManifestErrors(unreadable)
    with progress("validating"):
        cidrs = service_ranges(loaded.objects)
        return judge(loaded, namespace=str(params["namespace"]), cidrs=cidrs), len(loaded.objects)


def answer(verdict: Verdict, *, valid: bool) -> dict[str, Any]:
    """Return the `netsim.validate/v1` answer."""
    return {
        "schema": "netsim.validate/v1",
        "valid": valid,
        "errors": [entry(problem) for problem in verdict.errors],
        "warnings": [entry(problem) for problem in verdict.warnings],
    }


def entry(problem: Problem) -> dict[str, Any]:
    """Return one problem as JSON; `hint` is ours, the rest is what the server says and where."""
    return {
        "file": problem.where.file,
        "line": problem.where.line,
        "column": problem.where.column,
        "kind": problem.kind,
        "namespace": problem.namespace,
        "name": problem.name,
        "field": problem.field,
        "reason": problem.reason,
        "message": problem.message,
        "hint": problem.hint,
    }


def lines(verdict: Verdict, objects: int, *, quiet: bool = False) -> Iterator[str]:
    """Yield one line a problem, errors first, and the sum."""
    for problem in verdict.errors:
        yield f"error: {problem}"
    for problem in () if quiet else verdict.warnings:
        yield f"warning: {problem}"
    errors, warnings = _count(len(verdict.errors), "error"), _count(len(verdict.warnings), "warning")
    yield f"{_count(objects, 'object')}: {errors}, {warnings}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
