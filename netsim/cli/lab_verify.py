"""`netsim lab verify`: ask, compare, show the table of agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import orjson

from netsim.cli.lab_look import comparison_json, comparison_lines, question_of
from netsim.cli.lab_run import reopen
from netsim.cli.terminal import progress
from netsim.errors import UsageError
from netsim.lab import state
from netsim.lab.questions import Question
from netsim.lab.verify import DOUBT

if TYPE_CHECKING:
    from netsim.lab.rulecheck import Checked
    from netsim.lab.verify import Finding
    from netsim.trace.answer import Outcome
    from netsim.trace.tracer import Tracer


def verify_lab(name: str, params: Mapping[str, Any]) -> int:
    """Compare model and kernel; return 1 when they differ anywhere."""
    from netsim.journey.lazy import names_of
    from netsim.lab.questions import default_questions, random_questions
    from netsim.lab.rulecheck import check_rules
    from netsim.lab.verify import verify
    from netsim.trace.tracer import Tracer

    lab = state.load(name)
    prepared = reopen(name)
    network = prepared.network
    mode = prepared.config.mode
    tracer = Tracer(network, mode, resolver=names_of(network, mode, {}))
    if params["queries"]:
        questions = read_questions(params["queries"], tracer, params.get("namespace") or "default")
    elif params["count"]:
        questions = random_questions(network, params["count"], params["seed"])
    else:
        questions = default_questions(network)
    with progress(f"asking {len(questions)} questions"):
        findings = tuple(verify(lab, network, tracer, questions))
        checked = tuple(check_rules(lab, network, tracer, questions)) if params["rules"] else ()
    show_findings(findings, checked, name, params)
    differ = any(finding.result == "differ" for finding in findings)
    return 1 if differ or not all(comparison.agrees for _, comparison in checked) else 0


def read_questions(path: str, tracer: Tracer, namespace: str = "default") -> tuple[Question, ...]:
    """Read trace queries (JSON lines: from, to, via, protocol) as questions; UsageError names the line."""
    found: list[Question] = []
    with click.open_file(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                query = orjson.loads(line)
                words = {"via": query.get("via"), "protocol": query.get("protocol"), "namespace": namespace}
                found += spread(tracer, question_of(tracer, query["from"], query["to"], words))
            except (UsageError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise UsageError(f"{path}:{number}: not a query: {error}") from error
    return tuple(found)


def spread(tracer: Tracer, question: Question) -> Iterator[Question]:
    """Yield a question once for each node to which a load balancer may send it: the lab's router has one at a time."""
    from netsim.trace.query import TraceQuery

    entries: tuple[str, ...] = ()
    if question.via is None and question.source.startswith("external"):
        outcomes = tracer.trace(TraceQuery(question.source, question.target, protocol=question.protocol)).outcomes
        entries = tuple(sorted({name for outcome in outcomes if (name := _entry(outcome))}))
    if len(entries) < 2:
        yield question
        return
    yield from (replace(question, via=f"node/{name}") for name in entries)


def _entry(outcome: Outcome) -> str:
    return next((hop.machine.name for hop in outcome.hops if hop.machine.host.kind == "node"), "")


def show_findings(
    findings: Iterable[Finding], checked: Sequence[Checked], name: str, params: Mapping[str, Any]
) -> None:
    """Print the table of agreement, and each difference with the commands that show both sides."""
    listed = tuple(findings)
    if params["output"] == "json":
        click.echo(orjson.dumps(findings_json(listed, checked), option=orjson.OPT_INDENT_2).decode())
        return
    for finding in listed:
        if finding.result == "differ":
            click.echo(f"DIFFER {finding.question.text}\n  {finding.why}")
            click.echo(f"  predicted: {'; '.join(f'{share} {words}' for words, share in finding.predicted.items())}")
            click.echo(f"  observed:  {'; '.join(f'{count}x {words}' for words, count in finding.observed.items())}")
            click.echo(f"  reproduce: netsim lab verify {name} --queries - <<< '{query_line(finding.question)}'")
    for question, comparison in checked:
        if not comparison.agrees:
            click.echo("RULES DIFFER " + "\n".join(comparison_lines(question, comparison)))
            click.echo(f"  reproduce: netsim lab trace {name} {question.text}")
    for line in table_lines(listed, checked):
        click.echo(line)


def table_lines(findings: Sequence[Finding], checked: Sequence[Checked]) -> Iterator[str]:
    """Yield the table of agreement: what was predicted, and how often it held."""
    kinds = ("delivered", "several outcomes", "refused", "silence")
    counts = Counter((_kind(finding), finding.result) for finding in findings if finding.result != "unverifiable")
    yield f"{'predicted':18} {'agree':>6} {'differ':>6}"
    for kind in kinds:
        if counts[kind, "agree"] or counts[kind, "differ"]:
            yield f"{kind:18} {counts[kind, 'agree']:6} {counts[kind, 'differ']:6}"
    totals = Counter(finding.result for finding in findings)
    repeated = sum(bool(finding.first) and finding.result == "agree" for finding in findings)
    packets = sum(sum(finding.observed.values()) for finding in findings)
    summary = ", ".join(f"{totals[kind]} {kind}" for kind in ("agree", "differ", "unverifiable"))
    doubt = f"a true model is called wrong with a chance below {DOUBT:.0e} a question"
    yield f"{summary} ({packets} connections, {repeated} repeated; {doubt})"
    if checked:
        rules = sum(comparison.taken for _, comparison in checked)
        differ = sum(not comparison.agrees for _, comparison in checked)
        yield f"rules of {len(checked)} packets: {rules} steps in the kernel's trace, {differ} packets differ"


def _kind(finding: Finding) -> str:
    words = {outcome.partition(" ")[0] for outcome in finding.predicted}
    return words.pop().lower() if len(words) == 1 else "several outcomes"


def query_line(question: Question) -> str:
    """Return the question as a line for --queries."""
    query = {"from": question.source, "to": question.target, "via": question.via, "protocol": question.protocol}
    return orjson.dumps(query).decode()


def findings_json(findings: Iterable[Finding], checked: Sequence[Checked]) -> dict[str, Any]:
    """Return all findings as the JSON answer."""
    return {
        "schema": "netsim.lab.verify/v1",
        "findings": [
            {
                "query": orjson.loads(query_line(finding.question)),
                "result": finding.result,
                "predicted": {words: str(share) for words, share in finding.predicted.items()},
                "observed": finding.observed,
                "why": finding.why,
                "firstTry": finding.first,
            }
            for finding in findings
        ],
        "rules": {
            "packets": len(checked),
            "steps": sum(comparison.taken for _, comparison in checked),
            "differ": [comparison_json(question, item) for question, item in checked if not item.agrees],
        },
    }
