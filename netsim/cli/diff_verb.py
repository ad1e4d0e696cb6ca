"""`netsim diff -f … --proxy-mode A..B`: which flows change between two proxy modes, with a witness each."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import click

from netsim.cli.options import input_options, output_option
from netsim.cli.proxy_flags import proxy_options

if TYPE_CHECKING:
    from iptables_gen.kubeproxy.inputs import Mode
    from netsim.cli.session import Session
    from netsim.diff.run import Difference, Report

_MODE = "proxy__proxy_mode"


@click.command("diff", short_help="List the flows that change between two proxy modes, with a witness each.")
@input_options
@output_option("text", "json", "markdown")
@proxy_options
def command(**params: Any) -> int:
    """Ask every Service address from every class of client in two proxy modes; exit 1 when an answer differs.

    Name the modes as --proxy-mode A..B, for example --proxy-mode iptables..nftables.
    """
    from netsim.cli.session import open_session

    modes = modes_of(params.get(_MODE))
    session = open_session(params)
    report = report_of(session, params, modes)
    show(report, params)
    return 1 if report.groups else 0


def modes_of(word: str | None) -> tuple[Mode, Mode]:
    """Return the modes of `A..B`; raise UsageError for anything else."""
    from iptables_gen.kubeproxy.inputs import Mode
    from netsim.errors import UsageError
    from netsim.packet.names import hint

    known: tuple[Mode, ...] = get_args(Mode)
    before, dots, after = (word or "").partition("..")
    if not dots:
        raise UsageError("name two modes: --proxy-mode iptables..nftables")
    for mode in (before, after):
        if mode not in known:
            raise UsageError(f"--proxy-mode {word}: no mode {mode!r}{hint(mode, known)}: one of {', '.join(known)}")
    return before, after  # type: ignore[return-value]


def report_of(session: Session, params: Mapping[str, Any], modes: tuple[Mode, Mode]) -> Report:
    """Return the answer for one cluster."""
    from netsim.cli.compile_verb import no_collector
    from netsim.cli.proxy_flags import proxy_config
    from netsim.cli.terminal import progress
    from netsim.diff.run import compare_modes
    from netsim.trace.setup import make_tracer

    settled = [proxy_config({**params, _MODE: mode}, session.cluster) for mode in modes]
    notes = tuple(dict.fromkeys(note for _, found in settled for note in found))
    session.note(notes)
    # The mode named on the command line counts, whatever a configuration in the input says.
    configs = [replace(config, mode=mode) for (config, _), mode in zip(settled, modes, strict=True)]
    before, after = (make_tracer(session.cluster, config, namespace=session.namespace) for config in configs)
    with progress("comparing"), no_collector():
        return compare_modes(before, after, configs[0], (*session.notes, *notes))


def show(report: Report, params: Mapping[str, Any]) -> None:
    """Print a report in the form of -o."""
    from netsim.report.diff_report import diff_json, diff_markdown, diff_text

    words = shlex.join(repeated_words(params))

    def reproduce(flow: Difference, mode: Mode) -> str:
        return f"netsim trace {words} --proxy-mode {mode} {shlex.join(query_words(flow))}"

    if params["output"] == "json":
        json.dump(diff_json(report, reproduce), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        render = diff_markdown if params["output"] == "markdown" else diff_text
        sys.stdout.write(render(report, reproduce))
    sys.stdout.flush()


def query_words(flow: Difference) -> Iterator[str]:
    """Yield the words of a trace command that ask about a flow."""
    query = flow.question.query
    yield from (query.source, query.target)
    if query.protocol and query.protocol != "tcp":
        yield from ("--protocol", query.protocol)
    if query.via:
        yield from ("--via", query.via)


def repeated_words(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield the input options and kube-proxy's flags as given, so that a trace starts from the same cluster."""
    from netsim.cli.proxy_flags import given_flags

    for name in params.get("filenames") or ():
        yield from ("-f", name)
    if params.get("recursive"):
        yield "-R"
    for option in ("not_ready", "ready", "terminating", "phase"):
        for word in params.get(option) or ():
            yield from (f"--{option.replace('_', '-')}", word)
    if params.get("proxy_config_file"):
        yield from ("--config", params["proxy_config_file"])
    for flag, value in given_flags(params).items():
        if flag != "proxy-mode":
            text = (
                ",".join(value) if isinstance(value, tuple) else str(value).lower() if value in (True, False) else value
            )
            yield f"--{flag}={text}"
