"""The lab verbs that look: graph, capture, trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

import click
import orjson

from iptables_gen.values import parse_endpoint, parse_ip
from netsim.cli.lab_run import prepare, reopen
from netsim.errors import LabError, UsageError, printable
from netsim.lab import state
from netsim.lab.questions import OUTSIDE, OUTSIDE_6, Question

if TYPE_CHECKING:
    from netsim.lab.sidebyside import Comparison
    from netsim.trace.tracer import Tracer


def graph(name: str, params: Mapping[str, Any]) -> None:
    """Print the picture of a running lab, or with -f of the one that the manifests would make."""
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.codec import decode
    from netsim.lab.graph import as_dot, as_text
    from netsim.lab.graph_svg import as_svg
    from netsim.lab.picture import picture

    if params["filenames"]:
        prepared = prepare(params)
        plan = plan_lab(prepared.network, lab_hosts(prepared.network))
    else:
        state.load(name)
        prepared = reopen(name)
        plan = decode(orjson.loads((state.folder(name) / "plan.json").read_bytes()))
    network = prepared.network
    drawn = picture(f"lab {name}", prepared.config.mode, network, lab_hosts(network), plan)
    formats = {"text": as_text, "dot": as_dot, "svg": as_svg}
    click.echo(formats[params["output"]](drawn), nl=False)


def capture(name: str, target: str, params: Mapping[str, Any]) -> None:
    """Print the packets of one namespace as lines, or write them to a pcap file."""
    from netsim.lab import capture as ears
    from netsim.lab import enter, pcap

    lab = state.load(name)
    where = enter.namespace_of(lab, target, params["namespace"])
    taken = 0
    with _opened(params["write"]) as file, suppress(KeyboardInterrupt):
        # The file is opened before the process goes into the lab, whose root may be another user's.
        heard = ears.open_capture(lab, where)
        click.echo(f"capturing in {where}, all interfaces; Ctrl-C ends", err=True)
        start = 0
        for packet in ears.packets(heard, params["count"], params["seconds"]):
            taken += 1
            start = start or packet.when
            if file is None:
                click.echo(pcap.line(packet, start))
            else:
                file.write((pcap.file_header() if taken == 1 else b"") + pcap.record(packet))
                file.flush()
        if file is not None and not taken:
            file.write(pcap.file_header())
    click.echo(f"{taken} packets", err=True)


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes] | None]:
    if path in ("", "-"):
        yield sys.stdout.buffer if path else None
        return
    with open(path, "wb") as file:
        yield file


def trace(name: str, source: str, target: str, params: Mapping[str, Any]) -> int:
    """Send one packet, print the kernel's rules beside the model's; return 1 when they differ."""
    from netsim.journey.lazy import names_of
    from netsim.lab.rulecheck import check_rules
    from netsim.trace.tracer import Tracer

    lab = state.load(name)
    prepared = reopen(name)
    network, mode = prepared.network, prepared.config.mode
    tracer = Tracer(network, mode, namespace=params["namespace"], resolver=names_of(network, mode, {}))
    question = question_of(tracer, source, target, params)
    checked = dict(check_rules(lab, network, tracer, (question,)))
    if question not in checked:
        raise LabError(f"no {question.protocol} sockets to send with")
    comparison = checked[question]
    document = comparison_json(question, comparison)
    text = "\n".join(comparison_lines(question, comparison))
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() if params["output"] == "json" else text)
    return 0 if comparison.agrees else 1


def question_of(tracer: Tracer, source: str, target: str, params: Mapping[str, Any]) -> Question:
    """Return the flow that FROM and TO name, with the address that is dialled."""
    from netsim.trace.query import TraceQuery

    asked = tracer.trace(TraceQuery(source, target, params["via"], params["protocol"])).asked
    if not asked.dialled:
        raise UsageError(f"{target}: the name does not resolve in the lab")
    address = parse_endpoint(asked.dialled)[0]
    word = source
    if source.startswith("pod/") and source.count("/") == 1:
        word = f"pod/{params['namespace']}/{source.removeprefix('pod/')}"
    elif source == "external":
        word = OUTSIDE_6 if ":" in address else OUTSIDE
    elif "/" not in source:
        owner = tracer.network.owner(*parse_ip(source))
        word = f"external/{source}" if owner is None else f"node/{owner.host}" if owner.kind == "node" else owner.host
    service = asked.about.partition(":")[0]
    return Question(word, asked.dialled, asked.protocol, params["via"], service)


def comparison_lines(question: Question, comparison: Comparison) -> Iterator[str]:
    """Yield the text of a comparison: `=` both, `kernel` or `model` one side only."""
    yield f"{question.text}: {comparison.observed}"
    if comparison.predicted != comparison.observed:
        yield f"the model says: {comparison.predicted}"
    for node, lines in comparison.nodes:
        yield f"  {node}"
        for side, step in lines:
            mark = "=" if side == "both" else f"{side} only:"
            rule = step.rule.removeprefix(f"-A {step.chain} ")
            yield printable(f"    {mark} {step.table} {step.chain}: {step.verdict} | {rule}")
    verdict = "agree" if comparison.agrees else "DIFFER"
    yield f"{comparison.taken} rules on {len(comparison.nodes)} nodes: kernel and model {verdict}"


def comparison_json(question: Question, comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as the JSON answer."""
    return {
        "schema": "netsim.lab.trace/v1",
        "query": {
            "from": question.source,
            "to": question.target,
            "via": question.via,
            "protocol": question.protocol,
        },
        "agree": comparison.agrees,
        "observed": comparison.observed,
        "predicted": comparison.predicted,
        "nodes": [
            {"node": node, "steps": [{"side": side, **step._asdict()} for side, step in lines]}
            for node, lines in comparison.nodes
        ],
    }
