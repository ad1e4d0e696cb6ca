"""What the API server would reject in objects that other verbs use as they are, and what no verb can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from netsim.errors import Problem
from netsim.manifests.objects import Manifest
from netsim.manifests.structure import in_namespace
from netsim.validate.allocation import allocator
from netsim.validate.judge import Judge, as_problems
from netsim.validate.plain import plain_tests
from netsim.validate.ranges import service_ranges
from netsim.validate.unusable import unusable

_CHEAP = 1000
"""Objects of a kind other than those rules are made of that are looked at; beyond, `validate` says more."""
_ALWAYS = frozenset({"Service", "EndpointSlice", "Endpoints", "Ingress", "IngressClass", "Node", "ServiceCIDR"})


def check_objects(objects: Sequence[Manifest]) -> tuple[Problem, ...]:
    """Return the problems that every verb reports, in input order.

    What `validate` would reject is a warning, as the object is used the way the real programs use it; a value from
    which no rule can be made is an error.
    """
    state = Judge(allocator(service_ranges(objects)), plain=plain_tests(objects), all_at_once=True)
    seen: Counter[str] = Counter()
    problems: list[Problem] = []
    for manifest in objects:
        seen[manifest.kind] += 1
        if seen[manifest.kind] <= _CHEAP or manifest.kind in _ALWAYS:
            problems += _problems(state, manifest)
    return tuple(in_namespace(problem, state.namespace) for problem in problems)


def _problems(state: Judge, manifest: Manifest) -> Iterator[Problem]:
    if state.is_plain(manifest):
        return
    fatal = list(as_problems(manifest, unusable(manifest.kind, manifest.data), ()))
    yield from fatal
    said: set[object] = {problem.field for problem in fatal} | {problem.where for problem in fatal}
    for problem in state.problems(manifest, ()):
        if problem.field not in said and problem.where not in said:
            yield replace(problem, severity="warning")
