"""`netsim why svc/NS/NAME`: why a Service does not answer, and what to fix first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from netsim.cli.options import input_options, output_option, queries_option
from netsim.cli.queries import answer_queries
from netsim.cli.session import Session, open_session
from netsim.errors import UsageError
from netsim.report.why import Diagnosis, diagnose
from netsim.report.why_text import as_json, text

KNOWN = frozenset(("service",))


@click.command("why", short_help="Say why a Service does not answer, and what to fix first.")
@click.argument("service", metavar="svc/NS/NAME", required=False)
@output_option("text", "json", "svg", "html")
@queries_option
@input_options
def command(service: str | None, output: str, queries: str, **params: Any) -> int:
    """Answer the on-call question for one Service, in order, each answer with its file and line."""
    if bool(service) == bool(queries):
        raise UsageError("name one Service: netsim why svc/NAMESPACE/NAME (or --queries FILE)")
    session = open_session(params)
    if queries:
        return answer_queries(queries, lambda query: _answer(query, session), KNOWN, quiet=session.quiet)
    click.echo(
        render(diagnose(session.cluster, *service_name(service or "", session.namespace)), output, session), nl=False
    )
    return 0


def _answer(query: Mapping[str, Any], session: Session) -> Mapping[str, Any]:
    word = query.get("service")
    if not isinstance(word, str):
        raise UsageError('"service" must be svc/NAMESPACE/NAME')
    return as_json(diagnose(session.cluster, *service_name(word, session.namespace)), session.notes)


def service_name(word: str, namespace: str) -> tuple[str, str]:
    """Return (namespace, name) of svc/NS/NAME, svc/NAME, NS/NAME or NAME; raise UsageError for anything else."""
    parts = word.split("/")
    if parts[0] in ("svc", "service", "services"):
        parts = parts[1:]
    if not 0 < len(parts) < 3 or not all(parts):
        raise UsageError(f"{word!r} names no Service: write svc/NAMESPACE/NAME")
    return (parts[0], parts[1]) if len(parts) == 2 else (namespace, parts[0])


def render(diagnosis: Diagnosis, output: str, session: Session) -> str:
    """Return the answer in one of its forms."""
    match output:
        case "json":
            return json.dumps(as_json(diagnosis, session.notes), indent=2, ensure_ascii=False) + "\n"
        case "svg" | "html":
            from netsim.report import why_picture

            return why_picture.svg(diagnosis) if output == "svg" else why_picture.html(diagnosis)
        case _:
            return text(diagnosis)
