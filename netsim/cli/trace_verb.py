"""`netsim trace FROM TO`: follow a packet or URL through every rule, there and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from netsim.cli.options import input_options, output_option, queries_option
from netsim.cli.proxy_flags import proxy_options

if TYPE_CHECKING:
    from netsim.cli.tracing import Tracing
    from netsim.trace.answer import Answer
    from netsim.trace.query import TraceQuery

QUERY_KEYS = frozenset(("from", "to", "via", "protocol", "sourcePort", "expect", "method", "headers", "ct", "pick"))
FORMATS = ("text", "json", "yaml", "dot", "svg", "html", "kernel", "pcap")
MAX_PORT = 65535


@click.command("trace", short_help="Follow a packet or URL through every rule, there and back.")
@click.argument("source", metavar="FROM", required=False)
@click.argument("target", metavar="TO", required=False)
@click.option("--via", metavar="node/NAME", help="The node at which a packet from outside arrives.")
@click.option("--protocol", metavar="PROTO", help="tcp (default), udp or sctp; a suffix of TO (53/udp) says it too.")
@click.option("--source-port", type=click.IntRange(1, MAX_PORT), metavar="PORT", help="The client's port.")
@click.option("--return", "with_return", is_flag=True, help="Show the way of the answer too.")
@click.option(
    "--detail",
    type=click.Choice(["minimal", "summary", "full"]),
    default="summary",
    show_default=True,
    help="minimal: no hops; full: every rule met, with routing and connection tracking.",
)
@click.option("--pick", metavar="ENDPOINT", help="Suppose that every random choice falls on this endpoint.")
@click.option(
    "--ct",
    type=click.Choice(["new", "established"]),
    default="new",
    show_default=True,
    help="The first packet of a connection, or a later one.",
)
@click.option(
    "--ruleset",
    "rulesets",
    multiple=True,
    metavar="NODE=DUMP",
    help="Rules of a real node: iptables-save, nft list ruleset, ipvsadm -Sn, ipset save.",
)
@click.option("-X", "method", default="GET", metavar="METHOD", help="Of a URL.")
@click.option("-H", "headers", multiple=True, metavar="'K: V'", help="Request header of a URL; repeatable.")
@click.option("--resolve", "resolve", multiple=True, metavar="HOST:ADDR", help="What a name resolves to.")
@click.option("--expect", metavar="X", help="Exit 1 unless the verdict is X or every outcome has disposition X.")
@output_option(*FORMATS)
@queries_option
@input_options
@proxy_options
def command(**params: Any) -> int:
    """Follow a packet from FROM to TO.

    FROM is pod/NS/NAME, node/NAME, external, external/IP or an address. TO is svc/NS/NAME[:PORT], pod/NS/NAME:PORT,
    node/NAME:PORT, IP:PORT, [V6]:PORT, HOST:PORT or a URL.
    """
    tracing = open_tracing(params)
    if params["queries"]:
        return answer_file(tracing, params)
    return answer_one(tracing, params)


def open_tracing(params: Mapping[str, Any]) -> Tracing:
    """Load the input and return what answers its queries; notes and warnings go to stderr."""
    from netsim.cli.proxy_flags import proxy_config
    from netsim.cli.session import open_session
    from netsim.cli.tracing import Tracing

    session = open_session(params)
    config, notes = proxy_config(params, session.cluster)
    session.note(notes)
    return Tracing(session, config, params, notes)


def answer_one(tracing: Tracing, params: Mapping[str, Any]) -> int:
    """Answer FROM TO and print it; return 1 when --expect is not met."""
    from netsim.cli.terminal import show_notes
    from netsim.errors import UsageError

    if not params["source"] or not params["target"]:
        raise UsageError("name FROM and TO, or --queries FILE: netsim trace -f DIR pod/NS/NAME svc/NS/NAME:PORT")
    expected = check_expectation(params["expect"])
    answer = tracing.trace(query_of(params, params))
    known = set(tracing.notes)
    show_notes((note for note in answer.notes if note not in known), quiet=params["quiet"])
    show(answer, params)
    return 0 if expected is None or answer.meets(expected) else 1


def query_of(words: Mapping[str, Any], params: Mapping[str, Any]) -> TraceQuery:
    """Return the query that the command line asks."""
    from netsim.trace.query import DEFAULT_SOURCE_PORT, TraceQuery

    return TraceQuery(
        source=words["source"],
        target=words["target"],
        via=words["via"],
        protocol=words["protocol"],
        source_port=words["source_port"] or DEFAULT_SOURCE_PORT,
        established=params["ct"] == "established",
        pick=params["pick"],
        with_return=params["with_return"],
    )


def check_expectation(word: str | None) -> str | None:
    """Return the verdict or disposition of --expect; raise UsageError for neither."""
    from netsim.errors import UsageError
    from netsim.packet.names import hint

    if word is None:
        return None
    upper = word.upper()
    if upper not in EXPECTATIONS:
        raise UsageError(f"expect {word!r}{hint(upper, EXPECTATIONS)}: one of {', '.join(EXPECTATIONS)}")
    return upper


VERDICTS = ("REACHABLE", "PARTIAL", "UNDETERMINED", "REFUSED", "DROPPED", "UNREACHABLE", "LOOP")
EXPECTATIONS = (*VERDICTS, "DELIVERED", "NO_ROUTE", "NO_SUCH_NAME")


def show(answer: Answer, params: Mapping[str, Any]) -> None:
    """Print an answer in the form of -o."""
    from netsim.cli.trace_forms import FORMS, show_form
    from netsim.report.trace_json import answer_json, as_yaml, pretty

    form = params["output"]
    detail, back = params["detail"], params["with_return"]
    if form in ("json", "yaml"):
        document = answer_json(answer, detail=detail, back=back)
        click.echo(as_yaml(document) if form == "yaml" else pretty(document), nl=False)
        return
    if form in FORMS:
        show_form(answer, params)
        return
    from netsim.report.trace_text import answer_text

    color = wants_color(params)
    text = answer_text(answer, detail=detail, back=back, color=color, replay=replay_command(params))
    # click strips colours from what is no terminal unless it is told.
    click.echo(text, nl=False, color=color)


def replay_command(params: Mapping[str, Any]) -> str:
    """Return the commands that send the same packet in a lab with the kernel; "" when the input came from stdin."""
    import json
    import shlex

    from netsim.cli.proxy_flags import given_flags

    files = params["filenames"]
    if "-" in files or params["rulesets"]:
        return ""
    flags = [f"--{name}={_flag_text(value)}" for name, value in given_flags(params).items()]
    up = ["netsim", "lab", "up", "demo", *(word for path in files for word in ("-f", path)), *flags]
    if params["target"].startswith(("http://", "https://")):
        return f"{shlex.join(up)} && {shlex.join(_curl(params))}"
    query = {"from": params["source"], "to": params["target"], "via": params["via"], "protocol": params["protocol"]}
    line = json.dumps({key: value for key, value in query.items() if value is not None})
    return f"{shlex.join(up)} && echo {shlex.quote(line)} | netsim lab verify demo --queries -"


def _curl(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words that send a URL's request in a lab, where certificates may be stand-ins (-k)."""
    from iptables_gen.values import format_ip
    from netsim.trace.query import USUAL_CLIENT

    source = params["source"]
    usual = f"external/{format_ip(4, USUAL_CLIENT[4])}"
    yield from ("netsim", "lab", "exec", "demo", usual if source == "external" else source)
    yield from ("--", "curl", "-sik")
    yield from () if params["method"] == "GET" else ("-X", params["method"])
    yield from (word for header in params["headers"] for word in ("-H", header))
    yield params["target"]


def _flag_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def wants_color(params: Mapping[str, Any]) -> bool:
    """Whether text is coloured: --color, NO_COLOR, and whether stdout is a terminal."""
    import os

    choice = params.get("color") or "auto"
    if choice != "auto":
        return bool(choice == "always")
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def answer_file(tracing: Tracing, params: Mapping[str, Any]) -> int:
    """Answer --queries; return 2 when a line could not be understood, else 1 when an `expect` was not met."""
    from netsim.cli.queries import answer_queries
    from netsim.cli.tracing import url_words
    from netsim.report.trace_json import answer_json

    unmet = False

    def answered(query: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal unmet
        # Recorded flow tables have an object under the same key: it is not a verdict to check.
        wanted = query.get("expect")
        expected = check_expectation(wanted if isinstance(wanted, str) else params["expect"])
        answer = tracing.trace(query_from_json(query, params), url_words(query, params))
        unmet = unmet or not (expected is None or answer.meets(expected))
        return answer_json(answer, detail=params["detail"], back=params["with_return"])

    code = answer_queries(params["queries"], answered, QUERY_KEYS, quiet=params["quiet"])
    return code or (1 if unmet else 0)


def query_from_json(query: Mapping[str, Any], params: Mapping[str, Any]) -> TraceQuery:
    """Return the query of one JSON object; raise UsageError for what cannot be understood."""
    from netsim.errors import UsageError
    from netsim.trace.query import DEFAULT_SOURCE_PORT, TraceQuery

    source, target = _text(query, "from"), _text(query, "to")
    if not source or not target:
        raise UsageError("a query needs `from` and `to`")
    port = query.get("sourcePort")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= MAX_PORT):
        raise UsageError(f"sourcePort {port!r} is not a number from 1 to {MAX_PORT}")
    state = _text(query, "ct") or params["ct"]
    if state not in ("new", "established"):
        raise UsageError(f"ct {state!r} is neither new nor established")
    return TraceQuery(
        source=source,
        target=target,
        via=_text(query, "via") or params["via"],
        protocol=_text(query, "protocol") or params["protocol"],
        source_port=port or params["source_port"] or DEFAULT_SOURCE_PORT,
        established=state == "established",
        pick=_text(query, "pick") or params["pick"],
        with_return=params["with_return"],
    )


def _text(query: Mapping[str, Any], key: str) -> str | None:
    from netsim.errors import UsageError

    value = query.get(key)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"`{key}` is not a string")
    return value
