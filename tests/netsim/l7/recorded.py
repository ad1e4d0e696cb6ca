"""The recorded L7 cases as parameters, and small clusters from YAML text."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

import orjson
import yaml

from netsim.cluster.build import build
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.l7.router import RouteOptions
from netsim.manifests.load import load
from netsim.manifests.objects import Manifest

CASES = Path(__file__).parents[2] / "conformance" / "l7"
FILES = sorted(CASES.glob("*.yaml"))
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NoDates(Loader):  # type: ignore[misc, valid-type]
    """Timestamps stay text, as the project's own loader keeps them."""


NoDates.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def read(path: Path) -> dict[str, Any]:
    loaded = yaml.load(path.read_text(), NoDates)
    assert isinstance(loaded, dict)
    return loaded


def loaded_of(manifests: list[dict[str, Any]]) -> tuple[Manifest, ...]:
    """Plain objects, loaded as JSON as every verb loads them."""
    loaded = load(["-"], stdin=io.BytesIO(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})))
    assert not [problem for problem in loaded.problems if problem.severity == "error"], loaded.problems
    return loaded.objects


def cluster_of(manifests: list[dict[str, Any]]) -> Cluster:
    """The cluster of plain objects."""
    return build(loaded_of(manifests), BuildOptions())


def cluster_from(text: str) -> Cluster:
    """The cluster of YAML text."""
    loaded = load(["-"], stdin=io.BytesIO(textwrap.dedent(text).encode()))
    assert not [problem for problem in loaded.problems if problem.severity == "error"], loaded.problems
    return build(loaded.objects, BuildOptions())


def flags_of(recorded: dict[str, Any]) -> dict[str, str]:
    flags = (recorded.get("controller") or {}).get("flags") or {}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in flags.items()}


def options_of(recorded: dict[str, Any], dialect: str) -> RouteOptions:
    resolve = {name: (address,) for name, address in (recorded.get("dns") or {}).items()}
    config = {key: str(value) for key, value in ((recorded.get("controller") or {}).get("configmap") or {}).items()}
    return RouteOptions(dialect=dialect, flags=flags_of(recorded), config=config, resolve=resolve)
