"""The lab verbs that look: graph, capture, trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import click
import orjson

from netsim.cli.lab_run import prepare, reopen
from netsim.lab import state


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
