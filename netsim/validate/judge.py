"""`netsim validate`: what the API server would say of each object, judged in input order against those before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netsim.errors import Problem
from netsim.manifests import kinds
from netsim.manifests.api import Loaded
from netsim.manifests.objects import Manifest, field_path
from netsim.manifests.structure import in_namespace
from netsim.validate.allocation import Allocator, Claim, allocate, allocator, claim_plainly, commit
from netsim.validate.cause import Cause
from netsim.validate.guess import guessed
from netsim.validate.hints import value_hint
from netsim.validate.plain import Test, plain_tests
from netsim.validate.prune import prune, touches
from netsim.validate.registry import check_of, resource

ALREADY_EXISTS = "AlreadyExists"
HIDDEN = "the server says this only once the errors above are gone"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the server would refuse and what it would warn of; `warnings` also hold what errors hide."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


@dataclass(slots=True)
class Judge:
    """What the objects so far have taken: names, ClusterIPs, node ports.

    `all_at_once`: say what every stage finds instead of stopping where the server stops, and leave out its warnings.
    """

    allocator: Allocator
    namespace: str = "default"
    names: set[tuple[str, str, str]] = field(default_factory=set)
    plain: Mapping[tuple[str, str], Test] = field(default_factory=dict)
    all_at_once: bool = False

    def problems(self, manifest: Manifest, found: Sequence[Problem]) -> Iterator[Problem]:
        """Yield everything about an object; *found* are the problems of its structure.

        Like the server this stops at the first stage that fails: text and kind, decoding, allocation, field
        validation, storage. What later stages would have said follows as warnings.
        """
        if not found and self.is_plain(manifest):
            return
        yield from _by_stage(found)
        refused = any(problem.severity == "error" for problem in found)
        served = kinds.served(manifest.api_version, manifest.kind)
        if served in ("unknown", "custom", "config") or not manifest.kind:
            if refused:
                yield from map(_hidden, guessed(manifest))
            return
        key = (resource(manifest.api_version, manifest.kind), self._namespace_of(manifest), manifest.name)
        for problem in self._semantics(manifest, found):
            refused = refused or problem.severity == "error"
            yield problem
        if manifest.name and not refused:
            if key in self.names:
                yield _already_exists(manifest, key)
            self.names.add(key)

    def is_plain(self, manifest: Manifest) -> bool:
        """Return whether an object is valid at first sight; if so, take in what it holds."""
        test = self.plain.get((manifest.api_version, manifest.kind))
        if test is None or not test(manifest.data):
            return False
        owner = (manifest.namespace or self.namespace, manifest.name)
        key = (resource(manifest.api_version, manifest.kind), *owner)
        if key in self.names:
            return False
        if manifest.kind == "Service" and not claim_plainly(
            manifest.data["spec"], owner, self.allocator, in_ranges=not manifest.stored
        ):
            return False
        self.names.add(key)
        return True

    def _namespace_of(self, manifest: Manifest) -> str:
        return (manifest.namespace or self.namespace) if kinds.is_namespaced(manifest.kind) else ""

    def _semantics(self, manifest: Manifest, found: Sequence[Problem]) -> Iterator[Problem]:
        """Yield the causes of allocation and field validation, those behind an earlier error as warnings."""
        wrong = [field_path(problem.field) for problem in found if problem.reason == "BadType"]
        data = prune(manifest.data, wrong)
        hidden = any(problem.severity == "error" for problem in found)
        claim = Claim((), ())
        owner = (self._namespace_of(manifest), manifest.name)
        if (manifest.api_version, manifest.kind) == ("v1", "Service"):
            causes, claim = allocate(data, owner, self.allocator, in_ranges=not manifest.stored)
            yield from as_problems(manifest, causes, wrong, hidden=hidden)
            hidden = hidden or (bool(causes) and not self.all_at_once)
        checked = list(check_of(manifest.api_version, manifest.kind)(data))
        refused = hidden or any(cause.severity == "error" for cause in checked)
        # A refused object gets no warnings, but for the one of its API itself.
        silent = refused or self.all_at_once
        told = [cause for cause in checked if not silent or cause.severity == "error" or _always(cause, self)]
        yield from as_problems(manifest, told, wrong, hidden=hidden)
        if not refused:
            commit(claim, owner, self.allocator)


_STAGES = {"NoKindMatch": 1, "BadType": 2, "UnknownField": 3}


def _stage(problem: Problem) -> int:
    if problem.reason == "BadYAML":
        return 3 if "already set in map" in problem.message else 0
    return _STAGES.get(problem.reason, 3)


def _by_stage(found: Sequence[Problem]) -> Iterator[Problem]:
    """Yield the problems of reading: the server goes no further than the first stage that fails."""
    first = min((_stage(problem) for problem in found if problem.severity == "error"), default=9)
    for problem in found:
        yield _hidden(problem) if problem.severity == "error" and _stage(problem) > first else problem


def _always(cause: Cause, state: Judge) -> bool:
    return cause.at.text == "apiVersion" and not state.all_at_once


def as_problems(
    manifest: Manifest, causes: Iterable[Cause], wrong: Sequence[tuple[str | int, ...]], *, hidden: bool = False
) -> Iterator[Problem]:
    """Yield located problems; causes about values of a wrong type, reported already, are left out."""
    for cause in causes:
        if wrong and touches(cause.at.parts, wrong):
            continue
        is_warning = cause.severity == "warning"
        problem = manifest.problem(
            cause.at.parts,
            cause.message,
            reason=cause.reason,
            field="" if is_warning else cause.at.text,
            hint="" if is_warning else value_hint(cause),
            severity=cause.severity,
        )
        yield _hidden(problem) if hidden and not is_warning else problem


def _hidden(problem: Problem) -> Problem:
    hint = f"{problem.hint}; {HIDDEN}" if problem.hint else HIDDEN
    return replace(problem, severity="warning", hint=hint)


def _already_exists(manifest: Manifest, key: tuple[str, str, str]) -> Problem:
    text = f'{key[0]} "{manifest.name}" already exists'
    return manifest.problem(("metadata", "name"), text, reason=ALREADY_EXISTS, field="")


def judge(loaded: Loaded, *, namespace: str = "default", cidrs: Sequence[str] = ()) -> Verdict:
    """Return the verdict on everything that was loaded with `keep_bad`; *cidrs* are the cluster's service ranges."""
    state = Judge(allocator(cidrs), namespace, plain=plain_tests(loaded.objects))
    owned = {id(problem) for problems in loaded.found.values() for problem in problems}
    problems = [problem for problem in loaded.problems if id(problem) not in owned]
    for index, manifest in enumerate(loaded.objects):
        problems += state.problems(manifest, loaded.found.get(index, ()))
    placed = [in_namespace(problem, namespace) for problem in _in_order(problems)]
    errors = tuple(problem for problem in placed if problem.severity == "error")
    return Verdict(errors, tuple(problem for problem in placed if problem.severity != "error"))


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems by file, in the order in which files appear, then by place."""
    files = {name: place for place, name in enumerate(dict.fromkeys(problem.where.file for problem in problems))}
    return sorted(problems, key=lambda problem: (files[problem.where.file], problem.where.line, problem.where.column))
