"""A diff of two proxy modes as text, JSON (`netsim.diff/v1`) and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from iptables_gen.kubeproxy.inputs import Mode
from netsim.diff.compare import Ending, Endings
from netsim.diff.run import Difference, Group, Report
from netsim.errors import printable

Command = Callable[[Difference, Mode], str]
"""(flow, mode) -> the command line that reproduces it."""

_MOST_SERVICES = 5


def diff_json(report: Report, command: Command) -> dict[str, Any]:
    """Return the report as plain data in the documented key order."""
    return {
        "schema": "netsim.diff/v1",
        "modes": list(report.modes),
        "asked": report.asked,
        "differing": report.differing,
        "causes": [_cause_json(report, group, command) for group in report.groups],
        "notes": [{"code": note.code, "text": note.text} for note in report.notes],
    }


def _cause_json(report: Report, group: Group, command: Command) -> dict[str, Any]:
    cause = group.cause
    return {
        "code": cause.code,
        "title": cause.title,
        "behaviour": {mode: cause.behaviour[mode] for mode in report.modes},
        "advice": cause.advice,
        "source": cause.source,
        "flows": len(group.flows),
        "services": list(group.services),
        "witness": _witness_json(report, group.witness, command),
        "queries": [_query_json(flow) for flow in group.flows],
    }


def _witness_json(report: Report, flow: Difference, command: Command) -> dict[str, Any]:
    return {
        "query": _query_json(flow),
        "differs": list(flow.differs),
        "answers": {
            mode: [_ending_json(ending, str(share)) for ending, share in found.items()]
            for mode, found in zip(report.modes, (flow.before, flow.after), strict=True)
        },
        "commands": [command(flow, mode) for mode in report.modes],
    }


def _query_json(flow: Difference) -> dict[str, Any]:
    query = flow.question.query
    return {"from": query.source, "to": query.target, "via": query.via, "protocol": query.protocol}


def _ending_json(ending: Ending, share: str) -> dict[str, Any]:
    return {
        "probability": share,
        "disposition": ending.disposition,
        "endpoint": ending.endpoint or None,
        "serverSees": ending.source or None,
    }


def diff_text(report: Report, command: Command) -> str:
    """Return the report for a terminal."""
    lines = [_headline(report), ""]
    for group in report.groups:
        lines += [*_group_text(report, group, command), ""]
    return "\n".join(printable(line) for line in lines[:-1]) + "\n"


def _headline(report: Report) -> str:
    before, after = report.modes
    if not report.groups:
        return f"{before}..{after}: {report.asked} flows asked, none differs"
    causes = f"{len(report.groups)} cause{'s' if len(report.groups) > 1 else ''}"
    return f"{before}..{after}: {report.differing} of {report.asked} flows differ, {causes}"


def _group_text(report: Report, group: Group, command: Command) -> Iterator[str]:
    yield f"{group.cause.code}: {group.cause.title}"
    for mode in report.modes:
        yield f"  {mode + ':':<10} {group.cause.behaviour[mode]}"
    yield f"  {_count(group)}"
    witness = group.witness
    yield f"  witness:   {_flow_text(witness)}"
    for mode, found in zip(report.modes, (witness.before, witness.after), strict=True):
        yield f"    {mode + ':':<10} {endings_text(found)}"
    yield f"    {command(witness, report.modes[1])}"
    yield f"  advice:    {group.cause.advice}"
    yield f"  source:    {group.cause.source}"


def _count(group: Group) -> str:
    names = group.services
    shown = ", ".join(names[:_MOST_SERVICES]) + (", …" if len(names) > _MOST_SERVICES else "")
    flows, services = len(group.flows), len(names)
    return f"{flows} flow{'s' if flows > 1 else ''} of {services} Service{'s' if services > 1 else ''}: {shown}"


def _flow_text(flow: Difference) -> str:
    query = flow.question.query
    via = f" via {query.via}" if query.via else ""
    return f"{query.source} -> {query.target}/{query.protocol}{via}"


def endings_text(found: Endings) -> str:
    """Return endings in one line: `1/2 10.244.1.5:8080 sees 10.244.1.1, 1/2 …`, or one disposition."""
    return ", ".join(_ending_text(ending, str(share)) for ending, share in found.items())


def _ending_text(ending: Ending, share: str) -> str:
    what = f"{ending.endpoint} sees {ending.source}" if ending.endpoint else ending.disposition.lower()
    return what if share == "1" else f"{share} {what}"


def diff_markdown(report: Report, command: Command) -> str:
    """Return the report as a Markdown page for a migration ticket."""
    before, after = report.modes
    lines = [f"# From {before} to {after}", "", _headline(report) + ".", ""]
    if report.groups:
        lines += ["| cause | flows | Services | what changes |", "|---|---|---|---|"]
        lines += [_row(report, group) for group in report.groups] + [""]
    for group in report.groups:
        lines += [*_section(report, group, command), ""]
    return "\n".join(lines[:-1]) + "\n"


def _row(report: Report, group: Group) -> str:
    cells = (group.cause.code, str(len(group.flows)), str(len(group.services)), group.cause.title)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")


def _section(report: Report, group: Group, command: Command) -> Iterator[str]:
    yield f"## {group.cause.code}"
    yield ""
    yield f"{group.cause.title[0].upper()}{group.cause.title[1:]}. {group.cause.advice}"
    yield ""
    for mode in report.modes:
        yield f"- {mode}: {group.cause.behaviour[mode]}"
    yield f"- {_cell(_count(group))}"
    yield ""
    witness = group.witness
    yield f"Witness: `{printable(_flow_text(witness))}`"
    yield ""
    for mode, found in zip(report.modes, (witness.before, witness.after), strict=True):
        yield f"- {mode}: {endings_text(found)}"
    yield ""
    yield "```sh"
    yield from (printable(command(witness, mode)) for mode in report.modes)
    yield "```"
    yield ""
    yield f"Source: {group.cause.source}."
