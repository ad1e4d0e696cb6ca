"""Session: what every verb starts from. Reads the manifests, prints what is wrong with them, builds the Cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netsim.cli.terminal import progress, show_notes, show_warnings
from netsim.cluster.model import Cluster
from netsim.cluster.options import BuildOptions
from netsim.errors import ManifestErrors, Problem, UsageError
from netsim.manifests.api import Loaded
from netsim.notes import Note

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a verb: the cluster, what was loaded, and the notes that every answer carries."""

    cluster: Cluster
    loaded: Loaded
    notes: tuple[Note, ...]
    namespace: str = "default"
    quiet: bool = False

    def note(self, notes: Iterable[Note]) -> None:
        """Show further notes on stderr."""
        show_notes(notes, quiet=self.quiet)


def open_session(params: Params) -> Session:
    """Load and build from the shared options; raise ManifestErrors (exit 2) with all errors of all files at once."""
    loaded = load_input(params)
    with progress("modelling the cluster"):
        from netsim.cluster.build import build

        cluster = build(loaded.objects, build_options(params))
    problems = (*loaded.problems, *semantic_problems(loaded))
    quiet = bool(params.get("quiet"))
    refuse_errors(problems, strict=bool(params.get("strict")), quiet=quiet)
    notes = tuple(dict.fromkeys((*loaded.notes, *cluster.notes)))
    show_notes(notes, quiet=quiet)
    return Session(cluster, loaded, notes, str(params.get("namespace") or "default"), quiet)


def load_input(params: Params) -> Loaded:
    """Read the -f arguments; raise ManifestErrors when nothing of them can be understood."""
    from netsim.manifests.load import load

    filenames = tuple(params.get("filenames") or ())
    if not filenames:
        raise UsageError("no input: name the manifests with -f FILE, -f DIRECTORY or -f - (standard input)")
    with progress("reading manifests"):
        loaded = load(filenames, recursive=bool(params.get("recursive")), stdin=sys.stdin.buffer)
    if any(problem.severity == "error" for problem in loaded.problems):
        refuse_errors(loaded.problems, strict=bool(params.get("strict")), quiet=bool(params.get("quiet")))
    return loaded


def semantic_problems(loaded: Loaded) -> tuple[Problem, ...]:
    """Return what `validate` would reject but other verbs only warn of."""
    from netsim.validate.check import check_objects

    return check_objects(loaded.objects)


def refuse_errors(problems: Iterable[Problem], *, strict: bool, quiet: bool) -> None:
    """Raise ManifestErrors when any problem is an error (any at all when strict), else print the warnings."""
    listed = tuple(problems)
    if any(strict or problem.severity == "error" for problem in listed):
        raise ManifestErrors(listed)
    show_warnings(listed, quiet=quiet)


def build_options(params: Params) -> BuildOptions:
    """Return the what-ifs of the command line; raise UsageError for words that name no pod."""
    namespace = str(params.get("namespace") or "default")

    def pods(key: str) -> frozenset[str]:
        return frozenset(pod_name(word, namespace) for word in params.get(key) or ())

    phases = dict(_phase(word, namespace) for word in params.get("phase") or ())
    return BuildOptions(
        not_ready=pods("not_ready"),
        ready=pods("ready"),
        terminating=pods("terminating"),
        phases=phases,
        strict_refs=bool(params.get("strict_refs")),
        at=str(params.get("at") or ""),
        default_namespace="default",
    )


def pod_name(word: str, namespace: str) -> str:
    """Return `ns/name` of pod/NS/NAME, NS/NAME, pod/NAME or NAME."""
    parts = word.removeprefix("pod/").split("/")
    if len(parts) > 2 or not all(parts):
        raise UsageError(f"{word!r} names no pod: write pod/NAMESPACE/NAME")
    return "/".join(parts if len(parts) == 2 else [namespace, *parts])


def _phase(word: str, namespace: str) -> tuple[str, str]:
    pod, equals, phase = word.rpartition("=")
    if not equals or phase not in PHASES:
        raise UsageError(f"--phase {word!r}: write POD=PHASE, with one of {', '.join(PHASES)}")
    return pod_name(pod, namespace), phase


PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
