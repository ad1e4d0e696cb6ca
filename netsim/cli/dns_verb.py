"""`netsim dns`: what the cluster's CoreDNS answers, what a resolver library makes of it, every record, or a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netsim.cli.options import apply, input_options, output_option, queries_option
from netsim.cli.session import Session, open_session, pod_name
from netsim.cli.terminal import complain
from netsim.errors import UsageError, printable_lines

if TYPE_CHECKING:
    from netsim.cluster.model import Pod
    from netsim.dns.asked import Asked
    from netsim.dns.open import ClusterDns, DnsOptions
    from netsim.dns.podconf import PodFiles
    from netsim.dns.resolve import Resolution
    from netsim.dns.stub.wire import Api

LIBCS = ("glibc", "musl", "go")
APIS = ("unspec", "inet", "inet6", "addrconfig", "canon", "ghbn", "ghbn2_6", "nameinfo", "srv")
PLACES = ("coredns", "upstream", "silent", "refused")
LOOKUP_KEYS = frozenset(
    ("lookup", "api", "libc", "from", "resolvConf", "hosts", "nsswitch", "localdomain", "clientIps")
)

_QUESTION = (
    click.option("--from", "source", metavar="POD", help="Ask as this pod (pod/NS/NAME) would."),
    click.option("--short", is_flag=True, help="Only the answers' data, in text output."),
    click.option("--tcp", is_flag=True, help="Ask over TCP."),
    click.option("--bufsize", type=click.IntRange(0, 65535), metavar="B", help="Ask with EDNS and this payload size."),
    click.option("--dnssec", is_flag=True, help="Set the DO bit (EDNS)."),
    click.option("--norecurse", is_flag=True, help="Clear the RD flag."),
    click.option("-x", "reverse", metavar="ADDR", help="Ask for the name of an address (PTR)."),
)
_SERVER = (
    click.option("--corefile", metavar="FILE", help="Corefile; default ConfigMap kube-system/coredns, else kubeadm's."),
    click.option("--upstream", metavar="FILE", help="JSON: what the world outside the cluster answers."),
    click.option("--coredns-ip", metavar="IP[,IP]", help="CoreDNS' addresses; default its pod's, else 10.244.0.2."),
    click.option("--serial", type=click.IntRange(0, 2**32 - 1), default=0, help="Serial of the SOA; default 0."),
    click.option("--api-server", type=click.Choice(["auto", "up", "down"]), default="auto", show_default=True,
                 help="Whether CoreDNS ever reached the API server; auto: unless the input is Namespaces only."),
    click.option("--dns-server", "servers", multiple=True, metavar="IP=KIND",
                 help=f"What stands at a nameserver's address: {', '.join(PLACES)}; repeatable."),
)  # fmt: skip
_LOOKUP = (
    click.option("--lookup", metavar="NAME", help="What a resolver library would send and get for NAME."),
    click.option("--libc", type=click.Choice(LIBCS), default="glibc", show_default=True, help="Whose resolver."),
    click.option("--api", type=click.Choice(APIS), default="unspec", show_default=True, help="Which call of it."),
    click.option("--resolv-conf", metavar="FILE", help="The process's resolv.conf; default the pod's."),
    click.option("--hosts", metavar="FILE", help="Its /etc/hosts; default the pod's."),
    click.option("--nsswitch", metavar="FILE", help="Its nsswitch.conf; default files, then dns."),
    click.option("--localdomain", default="", metavar="NAMES", help="Its environment's LOCALDOMAIN (glibc)."),
    click.option("--node-resolv-conf", metavar="FILE", help="The nodes' own resolv.conf."),
)
_MODES = (
    click.option("--zone", is_flag=True, help="Print every record the cluster serves."),
    click.option("--serve", metavar="ADDR:PORT", help="Serve DNS over UDP and TCP until interrupted."),
)


@click.command("dns", short_help="Answer as the cluster's CoreDNS would, seen from a pod.")
@click.argument("name", required=False)
@click.argument("rr_type", metavar="[TYPE]", required=False)
@apply((*_QUESTION, *_LOOKUP, *_MODES, *_SERVER))
@queries_option
@output_option("text", "json", "yaml")
@input_options
def command(**params: Any) -> int:
    """Answer NAME (TYPE, default A) as CoreDNS 1.13 would, with dig's words.

    Without --from NAME is asked as it is; with it along the pod's search list, and every question sent is listed.
    """
    run = _mode(params)
    session = open_session(params)
    return run(Run(session, _open(session, params), params))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the verb."""

    session: Session
    dns: ClusterDns
    params: Mapping[str, Any]

    def pod(self, word: str) -> Pod:
        """Return the pod that `pod/NS/NAME` names."""
        namespace, _, name = pod_name(word, self.session.namespace).partition("/")
        found = self.session.cluster.pod(namespace, name)
        if found is None:
            raise UsageError(f"pod {namespace}/{name} is not in the input")
        return found

    def note(self, *notes: Any) -> None:
        """Show the DNS' own notes and further ones."""
        self.session.note((*self.dns.notes, *notes))


def _mode(params: Mapping[str, Any]) -> Callable[[Run], int]:
    """Return what to do; UsageError unless exactly one thing is asked for."""
    modes: dict[str, tuple[bool, Callable[[Run], int]]] = {
        "NAME": (bool(params["name"] or params["reverse"]), answer_one),
        "--queries": (bool(params["queries"]), answer_many),
        "--lookup": (params["lookup"] is not None, look_up_one),
        "--zone": (bool(params["zone"]), print_zone),
        "--serve": (bool(params["serve"]), serve),
    }
    chosen = [run for asked, run in modes.values() if asked]
    if len(chosen) != 1:
        raise UsageError(f"give one of {', '.join(modes)}")
    return chosen[0]


def _open(session: Session, params: Mapping[str, Any]) -> ClusterDns:
    from netsim.dns.open import open_dns

    return open_dns(session.cluster, dns_options(params))


def dns_options(params: Mapping[str, Any]) -> DnsOptions:
    """Return the server's settings of the command line; files are read here."""
    from netsim.dns.open import DnsOptions

    options = DnsOptions(
        corefile=_read(params["corefile"]) if params["corefile"] else "",
        corefile_name=params["corefile"] or "Corefile",
        coredns_ips=_addresses(params["coredns_ip"] or ""),
        serial=params["serial"],
        servers=tuple(map(_server, params["servers"])),
        reachable={"auto": None, "up": True, "down": False}[params["api_server"]],
    )
    if params["upstream"]:
        options = replace(options, upstream=_upstream(params["upstream"]))
    if params["node_resolv_conf"]:
        options = replace(options, node_resolv_conf=_read(params["node_resolv_conf"]))
    return options


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error


def _upstream(path: str) -> Any:
    import orjson

    from netsim.dns.forward import read_upstream

    try:
        return read_upstream(orjson.loads(_read(path)), path)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: {error}") from error


def _addresses(words: str) -> tuple[str, ...]:
    from netsim.dns.names import parse_ip

    listed = tuple(word.strip() for word in words.split(",") if word.strip())
    for word in listed:
        if parse_ip(word) is None:
            raise UsageError(f"--coredns-ip: {word!r} is not an address")
    return listed


def _server(word: str) -> tuple[str, str]:
    from netsim.dns.names import parse_ip

    address, _, place = word.partition("=")
    if parse_ip(address) is None or place not in PLACES:
        raise UsageError(f"--dns-server {word!r}: write IP=KIND, with one of {', '.join(PLACES)}")
    return address, place


def answer_one(run: Run) -> int:
    """Answer one question and print it."""
    from netsim.dns.open import upstream_note
    from netsim.dns.render import answer_json, answer_text, short

    name, asked, notes = _ask_one(run)
    notes += upstream_note(run.dns, asked.answer)
    run.note(*notes)
    if run.params["output"] == "text":
        _say(short(asked.answer) if run.params["short"] else answer_text(asked, name))
    else:
        _print(answer_json(asked) | _noted(run, notes), run.params["output"])
    return 0


def _say(text: str) -> None:
    click.echo(printable_lines(text), nl=False)


def _ask_one(run: Run) -> tuple[str, Asked, tuple[Any, ...]]:
    from netsim.dns.asked import ask_as_is, ask_from
    from netsim.dns.podconf import pod_files
    from netsim.dns.query import question_name, rr_type
    from netsim.dns.records import Edns, Query

    params = run.params
    name, kind = _asked_name(params)
    edns = Edns(1232 if params["bufsize"] is None else params["bufsize"], params["dnssec"])
    wants_edns = params["bufsize"] is not None or params["dnssec"]
    query = Query(
        question_name(name),
        rr_type(kind or "A"),
        transport="tcp" if params["tcp"] else "udp",
        edns=edns if wants_edns else None,
        rd=not params["norecurse"],
    )
    if not params["source"]:
        return name, ask_as_is(query, run.dns), ()
    pod = run.pod(params["source"])
    files = pod_files(pod, run.dns.kubelet)
    asked = ask_from(query, run.dns, pod, files, params["libc"], typed=bool(kind), rooted=name.endswith("."))
    return name, asked, files.notes


def _asked_name(params: Mapping[str, Any]) -> tuple[str, str]:
    """Return NAME and TYPE ("" if not given); `-x ADDR` is a PTR question."""
    if not params["reverse"]:
        return params["name"], params["rr_type"] or ""
    from netsim.dns.names import parse_ip, reverse_name

    address = parse_ip(params["reverse"])
    if address is None or params["rr_type"]:
        raise UsageError(f"-x {params['reverse']}: write one address, without NAME and TYPE")
    return reverse_name(address), "PTR"


def _noted(run: Run, notes: tuple[Any, ...]) -> dict[str, Any]:
    every = dict.fromkeys((*run.session.notes, *run.dns.notes, *notes))
    return {
        "notes": [note.as_json() for note in every],
        "qualified": any(note.qualifies for note in every),
    }


def _print(answer: Any, output: str) -> None:
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(_plain(answer), sort_keys=False, allow_unicode=True), nl=False)
        return
    import orjson

    click.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples, as YAML wants them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def answer_many(run: Run) -> int:
    """Answer every line of a query file; lines with the key `lookup` are look-ups of a resolver library."""
    from netsim.cli.queries import answer_queries
    from netsim.dns.asked import ask_as_is
    from netsim.dns.open import upstream_note
    from netsim.dns.query import QUERY_KEYS, read_query
    from netsim.dns.render import answer_json

    run.note()
    notes: dict[Any, None] = {}

    def answer(query: Mapping[str, Any]) -> Mapping[str, Any]:
        if "lookup" in query:
            return _look_up_query(run, query)
        if "from" in query:
            return _answer_from(run, query)
        asked = ask_as_is(read_query(query), run.dns)
        notes.update(dict.fromkeys(upstream_note(run.dns, asked.answer)))
        return answer_json(asked)

    known = QUERY_KEYS | LOOKUP_KEYS
    code = answer_queries(run.params["queries"], answer, known, quiet=run.session.quiet)
    run.session.note(notes)
    return code


def _answer_from(run: Run, query: Mapping[str, Any]) -> Mapping[str, Any]:
    from netsim.dns.asked import ask_from
    from netsim.dns.podconf import pod_files
    from netsim.dns.query import read_query
    from netsim.dns.render import answer_json

    pod = run.pod(_word(query, "from", ""))
    files = pod_files(pod, run.dns.kubelet)
    libc = _chosen(query, "libc", LIBCS, run.params["libc"])
    rooted = _word(query, "name", "").endswith(".")
    asked = ask_from(read_query(query), run.dns, pod, files, libc, typed="type" in query, rooted=rooted)  # type: ignore[arg-type]
    return answer_json(asked)


def _word(query: Mapping[str, Any], key: str, default: str) -> str:
    value = query.get(key, default)
    if not isinstance(value, str):
        raise UsageError(f"{key}: a text is needed")
    return value


def _chosen(query: Mapping[str, Any], key: str, allowed: tuple[str, ...], default: str) -> str:
    value = _word(query, key, default)
    if value not in allowed:
        raise UsageError(f"{key}: one of {', '.join(allowed)} is needed")
    return value


def look_up_one(run: Run) -> int:
    """Do one look-up of a resolver library and print it."""
    from netsim.dns.render import lookup_json, lookup_text

    params = run.params
    query = {"lookup": params["lookup"]} | ({"from": params["source"]} if params["source"] else {})
    resolution = _look_up(run, query)
    run.note(*resolution.notes)
    if params["output"] == "text":
        found = "".join(f"{address}\n" for address in resolution.addresses or (resolution.name,) if address)
        _say(found if params["short"] else lookup_text(resolution, params["libc"], params["api"]))
    else:
        _print(lookup_json(resolution, params["libc"], params["api"]) | _noted(run, resolution.notes), params["output"])
    return 0


def _look_up_query(run: Run, query: Mapping[str, Any]) -> Mapping[str, Any]:
    from netsim.dns.render import lookup_json

    libc = _chosen(query, "libc", LIBCS, run.params["libc"])
    return lookup_json(_look_up(run, query), libc, _chosen(query, "api", APIS, run.params["api"]))


def _look_up(run: Run, query: Mapping[str, Any]) -> Resolution:
    """Resolve as the query (or else the command line) says."""
    from netsim.dns.resolve import look_up

    params = run.params
    pod = run.pod(_word(query, "from", "")) if "from" in query else None
    files = _files(run, pod, query)
    api: Api = _chosen(query, "api", APIS, params["api"])  # type: ignore[assignment]
    nsswitch = query["nsswitch"] if "nsswitch" in query else _read(params["nsswitch"]) if params["nsswitch"] else ""
    return look_up(
        _word(query, "lookup", ""),
        files,
        run.dns,
        pod.ips if pod else _client_ips(query),
        libc=_chosen(query, "libc", LIBCS, params["libc"]),  # type: ignore[arg-type]
        api=api,
        nsswitch=str(nsswitch),
        localdomain=_word(query, "localdomain", params["localdomain"]),
    )


def _client_ips(query: Mapping[str, Any]) -> tuple[str, ...]:
    given = query.get("clientIps", ())
    if not isinstance(given, (list, tuple)) or not all(isinstance(ip, str) for ip in given):
        raise UsageError("clientIps: a list of addresses is needed")
    return tuple(given)


def _files(run: Run, pod: Pod | None, query: Mapping[str, Any]) -> PodFiles:
    from netsim.dns.podconf import default_files, node_files, pod_files

    kubelet, params = run.dns.kubelet, run.params
    given = params["resolv_conf"] or "resolvConf" in query
    files = pod_files(pod, kubelet) if pod else default_files() if given else node_files(kubelet)
    if given:
        files = replace(files, resolv_conf=_word(query, "resolvConf", "") or _optional(params["resolv_conf"]))
    if params["hosts"] or "hosts" in query:
        files = replace(files, hosts=_word(query, "hosts", "") or _optional(params["hosts"]))
    return files


def _optional(path: str | None) -> str:
    return _read(path) if path else ""


def print_zone(run: Run) -> int:
    """Print every record."""
    from netsim.dns.render import record_json, zone_lines
    from netsim.dns.zone import zone_records

    run.note()
    records = list(zone_records(run.dns.server))
    if run.params["output"] == "text":
        _say("".join(f"{line}\n" for line in zone_lines(records)))
    else:
        head = {"schema": "netsim.dns.zone/v1", "records": [record_json(record) for record in records]}
        _print(head | _noted(run, ()), run.params["output"])
    return 0


def serve(run: Run) -> int:
    """Serve until interrupted; the manifests are read again when they change."""
    from netsim.dns.serve import parse_listen, run_server

    run.note()
    host, port = parse_listen(run.params["serve"])
    params = run.params
    watched = tuple(
        path for path in (*params["filenames"], params["corefile"], params["upstream"]) if path and path != "-"
    )

    def reload() -> ClusterDns:
        session = open_session({**params, "quiet": True})
        return _open(session, params)

    return run_server(host, port, run.dns, watched, reload, say=complain)
