"""The model in this process: a case's files and flags to a tracer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import click

from netsim.cli.proxy_flags import as_pflag, proxy_config, proxy_options
from netsim.cluster.build import build
from netsim.cluster.options import BuildOptions
from netsim.manifests.load import load
from netsim.trace.setup import make_tracer
from netsim.trace.tracer import Tracer


@lru_cache(maxsize=4)
def tracer_for(paths: tuple[str, ...], flags: tuple[str, ...]) -> Tracer:
    loaded = load(paths)
    cluster = build(loaded.objects, BuildOptions())
    config, notes = proxy_config(flag_values(flags), cluster)
    return make_tracer(cluster, config, notes=notes)


@proxy_options
def _collected(**params: object) -> dict[str, object]:
    return params


_command = click.command()(_collected)


def flag_values(flags: Iterable[str]) -> dict[str, object]:
    result = _command.main(as_pflag(list(flags)), standalone_mode=False)
    assert isinstance(result, dict)
    return result


def manifests_of(case: Path) -> tuple[str, ...]:
    single = case / "cluster.yaml"
    return (str(single),) if single.exists() else (str(case / "manifests"),)


def flags_for(case: Path, mode: str) -> tuple[str, ...]:
    return (*(case / "flags").read_text().split(), f"--proxy-mode={mode}")
