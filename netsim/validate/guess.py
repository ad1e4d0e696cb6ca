"""Objects whose kind is misspelt or missing: what they most likely are, and what would be wrong with them then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netsim.errors import Problem
from netsim.manifests import kinds, schema
from netsim.manifests.objects import Manifest
from netsim.manifests.suggestions import nearest
from netsim.validate.hints import value_hint
from netsim.validate.prune import prune, touches
from netsim.validate.registry import check_of, checks

_ENOUGH = 2
"""Fields of a fragment that must be known to a kind before it is taken for one."""


def guessed(manifest: Manifest) -> Iterator[Problem]:
    """Yield the problems of an object as the kind it probably is; nothing when that is not clear."""
    kind = probable_kind(manifest.api_version, manifest.kind, manifest.data)
    struct = kinds.table().kinds.get(kind, "")
    if not struct:
        return
    api_version, _, name = kind.rpartition("/")
    data = {**manifest.data, "apiVersion": api_version, "kind": name}
    findings = schema.findings(struct, data)
    for finding in findings:
        field = schema.strict_path(finding.path) if finding.reason == "UnknownField" else None
        at_key = finding.reason == "UnknownField"
        yield manifest.problem(
            finding.path, finding.message, reason=finding.reason, hint=finding.hint, field=field, at_key=at_key
        )
    wrong = [finding.path for finding in findings if finding.reason == "BadType"]
    fragment = not manifest.kind
    for cause in check_of(api_version, name)(prune(data, wrong)):
        # A fragment lacks what stands around it in the whole manifest.
        if cause.severity == "warning" or touches(cause.at.parts, wrong) or (fragment and "Required" in cause.reason):
            continue
        yield manifest.problem(
            cause.at.parts, cause.message, reason=cause.reason, field=cause.at.text, hint=value_hint(cause)
        )


def probable_kind(api_version: str, kind: str, data: Mapping[str, Any]) -> str:
    """Return `apiVersion/Kind` of what an object most likely is, "" when unclear."""
    known = [name for name in kinds.table().kinds if not name.endswith("List")]
    if kind:
        names: dict[str, str] = {}
        for entry in known:
            names.setdefault(entry.rpartition("/")[2], entry)
        return names.get(kind) or names.get(nearest(kind, names), "")
    scored = [(_fit(data, kinds.table().kinds[entry]), entry in checks(), entry) for entry in known]
    best = max(scored, default=(0, False, ""))
    return best[2] if best[0] >= _ENOUGH else ""


def _fit(data: Mapping[str, Any], struct: str) -> int:
    """Return how many of an object's fields, at the top and in its spec, a struct knows."""
    fields = kinds.table().structs[struct]
    score = sum(key in fields for key in data)
    spec, code = data.get("spec"), fields.get("spec", "")
    if isinstance(spec, dict) and code.startswith("@"):
        inner = kinds.table().structs[code[1:]]
        score += sum(2 if key in inner else -1 for key in spec)
    return score
