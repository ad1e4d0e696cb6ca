"""What the lab verbs do: from manifests to a running lab, and from a running lab back to its cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cli.session import Session, open_session
from netsim.cli.terminal import progress
from netsim.errors import LabError, UsageError
from netsim.hosts.network import Network
from netsim.lab import state
from netsim.lab.apply import write_file
from netsim.lab.codec import encode
from netsim.lab.ops import Operation
from netsim.lab.questions import Question
from netsim.lab.verify import Finding

KEPT = ("namespace", "not_ready", "ready", "terminating", "phase", "strict_refs", "at")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cluster ready to be brought up, or one that is up."""

    session: Session
    config: ProxyConfig
    network: Network


def prepare(params: Mapping[str, Any]) -> Prepared:
    """Load, build and compile what the options name."""
    from netsim.cli.proxy_flags import proxy_config
    from netsim.trace.setup import make_network

    session = open_session(params)
    config, notes = proxy_config(params, session.cluster)
    session.note(notes)
    return Prepared(session, config, make_network(session.cluster, config))


def up(name: str, params: Mapping[str, Any]) -> None:
    """Bring a lab up, or with --dry-run print how."""
    from netsim.lab import holder
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.names import LabDns
    from netsim.lab.ops import describe

    prepared = prepare(params)
    operations = plan_lab(prepared.network, lab_hosts(prepared.network))
    if params["dry_run"]:
        click.echo("\n".join(describe(operation) for operation in operations))
        return
    rootless = params["rootless"] or os.geteuid() != 0
    inputs = tuple(os.path.abspath(path) for path in params["filenames"] if path != "-")
    dns = LabDns(prepared.network.cluster)

    def refresh(folder: Path) -> None:
        dns.change(reopen(folder.name).network.cluster)

    starters = (("dns", dns.start),)
    plan = holder.Plan(name, operations, prepared.config.mode, rootless, inputs, starters, refresh)
    with progress(f"bringing up {name}"):
        lab = holder.start(plan)
    keep(name, prepared.session, params, operations)
    click.echo(f"lab {name} is up: {len(lab.namespaces)} namespaces", err=True)
    click.echo(f"try: netsim lab exec {name} external -- curl -s http://ADDRESS:PORT", err=True)


def apply_lab(name: str, params: Mapping[str, Any]) -> None:
    """Change a running lab to what the manifests say now; only the difference is touched."""
    from netsim.lab import holder
    from netsim.lab.build import lab_hosts, plan_lab
    from netsim.lab.codec import decode
    from netsim.lab.ops import describe
    from netsim.lab.plan import numbers_of
    from netsim.lab.reconcile import reconcile

    lab = state.load(name)
    folder = state.folder(name)
    kept = orjson.loads((folder / "options.json").read_bytes())
    options = {**params, **{key: value for key, value in kept.items() if key.startswith("proxy_")}}
    prepared = prepare(options)
    old = decode(orjson.loads((folder / "plan.json").read_bytes()))
    new = plan_lab(prepared.network, lab_hosts(prepared.network), numbers_of(old))
    steps = reconcile(old, new)
    if params["dry_run"]:
        click.echo("\n".join(describe(step) for step in steps))
        return
    keep(name, prepared.session, options, new)
    holder.send_operations(lab, steps, refresh=True)
    click.echo(f"lab {name}: {len(steps)} operations", err=True)


def keep(name: str, session: Session, params: Mapping[str, Any], operations: Iterable[Operation]) -> None:
    """Keep manifests, options and plan of a lab beside it, for the verbs that ask the model about it or change it."""
    items = [manifest.data for manifest in session.loaded.objects]
    options = {key: value for key, value in params.items() if key in KEPT or key.startswith("proxy_")}
    folder = state.folder(name)
    write_file(folder / "cluster.json", orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items}).decode())
    write_file(folder / "options.json", orjson.dumps(options).decode())
    write_file(folder / "plan.json", orjson.dumps(encode(operations)).decode())


def reopen(name: str) -> Prepared:
    """Return the cluster of a running lab, from what `keep` wrote."""
    folder = state.folder(name)
    try:
        options = orjson.loads((folder / "options.json").read_bytes())
    except (OSError, ValueError) as error:
        raise LabError(f"lab {name} has no saved options: it did not come up completely") from error
    return prepare({**options, "filenames": (str(folder / "cluster.json"),), "quiet": True})


def verify_lab(name: str, params: Mapping[str, Any]) -> int:
    """Compare model and kernel; return 1 when they differ anywhere."""
    from netsim.lab.questions import default_questions, random_questions
    from netsim.lab.verify import verify
    from netsim.trace.tracer import Tracer

    lab = state.load(name)
    prepared = reopen(name)
    network = prepared.network
    tracer = Tracer(network, prepared.config.mode)
    if params["queries"]:
        questions = read_questions(params["queries"])
    elif params["count"]:
        questions = random_questions(network, params["count"], params["seed"])
    else:
        questions = default_questions(network)
    with progress(f"asking {len(questions)} questions"):
        findings = tuple(verify(lab, network, tracer, questions))
    show_findings(findings, name, params)
    return 1 if any(finding.result == "differ" for finding in findings) else 0


def read_questions(path: str) -> tuple[Question, ...]:
    """Read trace queries (JSON lines: from, to, via, protocol) as questions; UsageError names the line."""
    found = []
    with click.open_file(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                query = orjson.loads(line)
                via = query.get("via")
                found.append(Question(query["from"], query["to"], query.get("protocol", "tcp"), via))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise UsageError(f"{path}:{number}: not a query: {error}") from error
    return tuple(found)


def show_findings(findings: Iterable[Finding], name: str, params: Mapping[str, Any]) -> None:
    """Print the table of agreement, and each difference with the commands that show both sides."""
    listed = tuple(findings)
    if params["output"] == "json":
        click.echo(orjson.dumps(findings_json(listed), option=orjson.OPT_INDENT_2).decode())
        return
    for finding in listed:
        if finding.result == "differ":
            click.echo(f"DIFFER {finding.question.text}\n  {finding.why}")
            click.echo(f"  predicted: {'; '.join(f'{share} {words}' for words, share in finding.predicted.items())}")
            click.echo(f"  observed:  {'; '.join(f'{count}x {words}' for words, count in finding.observed.items())}")
            click.echo(f"  reproduce: netsim lab verify {name} --queries - <<< '{query_line(finding)}'")
    counts = {kind: sum(finding.result == kind for finding in listed) for kind in ("agree", "differ", "unverifiable")}
    repeated = sum(bool(finding.first) and finding.result == "agree" for finding in listed)
    packets = sum(sum(finding.observed.values()) for finding in listed)
    click.echo(
        ", ".join(f"{count} {kind}" for kind, count in counts.items())
        + f" ({packets} connections, {repeated} repeated)"
    )


def query_line(finding: Finding) -> str:
    """Return the question as a line for --queries."""
    question = finding.question
    query = {"from": question.source, "to": question.target, "via": question.via, "protocol": question.protocol}
    return orjson.dumps(query).decode()


def findings_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return all findings as the JSON answer."""
    return {
        "schema": "netsim.lab.verify/v1",
        "findings": [
            {
                "query": orjson.loads(query_line(finding)),
                "result": finding.result,
                "predicted": {words: str(share) for words, share in finding.predicted.items()},
                "observed": finding.observed,
                "why": finding.why,
                "firstTry": finding.first,
            }
            for finding in findings
        ],
    }
