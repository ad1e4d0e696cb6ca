"""`netsim route`: the HTTP routing decision of a controller, alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import click

from netsim.cli.options import input_options, output_option, queries_option
from netsim.cli.queries import answer_queries
from netsim.cli.session import Session, open_session
from netsim.errors import UsageError
from netsim.l7.controller import DIALECTS, read_flags, read_settings
from netsim.l7.nginx.decide import Counters
from netsim.l7.request import QUERY_KEYS, Request, from_query, from_url, with_headers
from netsim.l7.router import Answer, RouteOptions, Router, build_routers, decide
from netsim.notes import Note


@click.command("route")
@click.argument("url", required=False, default="")
@input_options
@click.option("-X", "--request", "method", default="GET", show_default=True, metavar="METHOD", help="HTTP method.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'K: V'", help="A request header; repeatable.")
@click.option(
    "--dialect", type=click.Choice(DIALECTS), help="Whose semantics; default by the class's controller, else spec."
)
@click.option("--class", "class_name", default="", metavar="NAME", help="The ingress class whose controller is asked.")
@click.option("--gateway", default="", metavar="NS/NAME", help="The Gateway that is asked.")
@click.option("--client", default="", metavar="IP", help="The client's address.")
@click.option("--sni", default=None, metavar="NAME", help="The TLS server name, when it is not the URL's host.")
@click.option("--body-bytes", default=0, metavar="N", help="The size of the request's body.")
@click.option(
    "--resolve", multiple=True, metavar="HOST:ADDR", help="What an ExternalName resolves to for the proxy; repeatable."
)
@click.option(
    "--controller-flag", "flags", multiple=True, metavar="--NAME=VALUE", help="A flag of the controller; repeatable."
)
@click.option(
    "--controller-config", "config", multiple=True, metavar="KEY=VALUE", help="An entry of its ConfigMap; repeatable."
)
@click.option("--lint", is_flag=True, help="List conflicts and dead ends instead; exit 1 when there is an error.")
@click.option("--status", is_flag=True, help="Print, as JSON, what controllers write into status instead.")
@queries_option
@output_option("text", "json")
def command(**params: Any) -> int:
    """Decide which backend an HTTP request reaches."""
    if sum(map(bool, (params["url"], params["queries"], params["lint"], params["status"]))) != 1:
        raise UsageError("give one of URL, --queries FILE, --lint and --status")
    request = _request(params) if params["url"] else None
    options = _options(params)
    session = open_session(params)
    if params["lint"]:
        return _lint(session, options, params["output"])
    routers = build_routers(session.cluster, options)
    session.note(note for router in routers for note in router.notes)
    if params["status"]:
        return _status(routers)
    if request is None:
        return _answer_queries(session, routers, params)
    answer = decide(routers, request)
    session.note(answer.decision.notes)
    if params["output"] == "json":
        _print_json(_as_json(answer, (*session.notes, *answer.router.notes)))
    else:
        _print_text(answer, request, routers)
    return 0


def _options(params: Mapping[str, Any]) -> RouteOptions:
    return RouteOptions(
        dialect=params["dialect"] or "",
        class_name=params["class_name"],
        gateway=params["gateway"],
        flags=read_flags(params["flags"]),
        config=read_settings(params["config"]),
        resolve=resolved(params["resolve"]),
    )


def resolved(words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return addresses by host of HOST:ADDR words (`HOST:[V6]` too); raise UsageError for others."""
    import ipaddress

    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        host, colon, address = word.partition(":")
        try:
            parsed = ipaddress.ip_address(address.strip("[]"))
        except ValueError as error:
            raise UsageError(f"--resolve {word!r}: write HOST:ADDR") from error
        if not colon or not host:
            raise UsageError(f"--resolve {word!r}: write HOST:ADDR")
        found[host] = (*found.get(host, ()), str(parsed))
    return found


def _request(params: Mapping[str, Any]) -> Request:
    headers = dict(_header(word) for word in params["headers"])
    request = replace(
        from_url(params["url"]), method=params["method"], sni=params["sni"], body_bytes=params["body_bytes"]
    )
    query: dict[str, Any] = {"client": params["client"]} if params["client"] else {}
    gateway = {"gateway": params["gateway"]} if params["gateway"] else {}
    probe = from_query({**query, **gateway})
    return with_headers(replace(request, client=probe.client, gateway=probe.gateway), headers, {}, None)


def _header(word: str) -> tuple[str, str]:
    name, colon, value = word.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"-H {word!r}: write 'Name: value'")
    return name.strip(), value.strip()


def _answer_queries(session: Session, routers: tuple[Router, ...], params: Mapping[str, Any]) -> int:
    counters = Counters()
    gateway = params["gateway"]

    def answer(query: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = {"gateway": gateway, **query} if gateway else query
        return _as_json(decide(routers, from_query(asked), counters), ())

    return answer_queries(params["queries"], answer, QUERY_KEYS, quiet=session.quiet)


def _as_json(answer: Answer, notes: Iterable[Note]) -> dict[str, Any]:
    decided = answer.decision
    return replace(decided, notes=tuple(dict.fromkeys((*decided.notes, *notes)))).as_json()


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_text(answer: Answer, request: Request, routers: tuple[Router, ...]) -> None:
    from netsim.l7.explain import explain

    sys.stdout.write("".join(f"{line}\n" for line in explain(answer, request, routers)))


def _status(routers: tuple[Router, ...]) -> int:
    from netsim.l7.status import status_items

    _print_json({"schema": "netsim.route-status/v1", "items": status_items(routers)})
    return 0


def _lint(session: Session, options: RouteOptions, output: str) -> int:
    from netsim.l7.lint import lint

    findings = lint(session.cluster, options)
    if output == "json":
        _print_json({"schema": "netsim.route-lint/v1", "findings": [found.as_json() for found in findings]})
    else:
        for found in findings:
            print(found)
        if not findings:
            print("no conflict and no dead end found")
    return 1 if any(found.severity == "error" for found in findings) else 0
