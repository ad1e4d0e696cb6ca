"""What is wrong with objects before anybody asks what they mean: unknown kinds, wrong types, unknown fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from netsim.errors import Problem
from netsim.manifests import kinds, schema
from netsim.manifests.api import Loaded
from netsim.manifests.documents import Document
from netsim.manifests.goformat import value_word
from netsim.manifests.objects import Manifest
from netsim.manifests.yamldoc import YamlPositions
from netsim.notes import Note

NO_KIND_MATCH = "NoKindMatch"
BAD_TYPE = "BadType"
_MANY = 64
"""Objects of one kind from which compiling a checker in Rust pays."""


def judge(items: Sequence[Document | Problem], *, keep_bad: bool) -> Loaded:
    """Return the objects of all documents and everything that is wrong with them; `keep_bad` as for `load`."""
    check = _Structure(items, lenient=not keep_bad)
    result = _Result(keep_bad)
    for item in items:
        if isinstance(item, Problem):
            result.problems.append(item)
            continue
        manifest, found = _object(item)
        if manifest is None:
            result.problems += found
        else:
            result.add(manifest, [*found, *check.problems(manifest)], check.served(manifest))
    return result.loaded()


@dataclass(slots=True)
class _Result:
    """What is gathered on the way through the documents."""

    keep_bad: bool
    objects: list[Manifest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    found: dict[int, tuple[Problem, ...]] = field(default_factory=dict)
    unknown: dict[tuple[str, str], list[Problem]] = field(default_factory=dict)
    custom: Counter[str] = field(default_factory=Counter)

    def add(self, manifest: Manifest, problems: list[Problem], served: kinds.Served | None) -> None:
        """Take in an object with its problems."""
        if served == "custom" or (served == "crd" and not kinds.struct_of(manifest.api_version, manifest.kind)):
            self.custom[f"{manifest.kind}.{manifest.group}"] += 1
        if problems and served == "unknown" and not self.keep_bad:
            self.unknown.setdefault((manifest.api_version, manifest.kind), []).append(problems.pop())
        problems = [in_namespace(problem, "default") for problem in problems]
        self.problems += problems
        if self.keep_bad or not any(problem.severity == "error" for problem in problems):
            if problems:
                self.found[len(self.objects)] = tuple(problems)
            self.objects.append(manifest)

    def loaded(self) -> Loaded:
        """Return the result."""
        problems = (*self.problems, *(_counted(same) for same in self.unknown.values()))
        return Loaded(tuple(self.objects), problems, _notes(self.custom), self.found)


def in_namespace(problem: Problem, namespace: str) -> Problem:
    """Return a problem that says which namespace its object is in when its manifest leaves it out."""
    if problem.namespace or not problem.name or problem.kind not in kinds.namespaced_kinds():
        return problem
    return replace(problem, namespace=namespace)


def _counted(same: Sequence[Problem]) -> Problem:
    """Return one warning for all objects of a kind that nothing serves."""
    count = f"{len(same)} objects ignored" if len(same) > 1 else "1 object ignored"
    hint = f"{same[0].hint}; {count}" if same[0].hint else count
    return replace(same[0], severity="warning", hint=hint)


def _notes(custom: Counter[str]) -> tuple[Note, ...]:
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(custom.items()) if count)
    return (Note("CUSTOM_RESOURCES", f"not modelled: {counts}"),) if counts else ()


def _object(document: Document) -> tuple[Manifest | None, list[Problem]]:
    """Return the object of a document and the problems of its text; None when it is no object at all."""
    data, problems = document.data, list(document.problems)
    if data is None:
        return None, problems
    if not isinstance(data, dict):
        text = f"json: cannot unmarshal {value_word(data)} into Go value of type unstructured.detector"
        hint = "a manifest is a mapping with apiVersion, kind and metadata"
        problems.append(Problem(document.positions.find(()), text, reason=BAD_TYPE, hint=hint))
        return None, problems
    manifest = Manifest(data, document.positions)
    return manifest, [_owned(problem, manifest) for problem in problems]


def _owned(problem: Problem, manifest: Manifest) -> Problem:
    return replace(problem, kind=manifest.kind, namespace=manifest.namespace, name=manifest.name)


class _Structure:
    """The structural check of one input; checkers in Rust for kinds of which there are many."""

    def __init__(self, items: Sequence[Document | Problem], *, lenient: bool) -> None:
        self._lenient = lenient
        data = [item.data for item in items if isinstance(item, Document) and isinstance(item.data, dict)]
        names = [(version, kind) for one in data if (version := one.get("apiVersion")) and (kind := one.get("kind"))]
        counts = Counter(name for name in names if isinstance(name[0], str) and isinstance(name[1], str))
        self._defined = frozenset(definition for one in data for definition in _defines(one))
        self._fast = {
            name: schema.checker(struct)
            for name, count in counts.items()
            if count >= _MANY and (struct := kinds.struct_of(*name))
        }
        self._served: dict[tuple[str, str], kinds.Served] = {}

    def served(self, manifest: Manifest) -> kinds.Served | None:
        """Say who would understand an object; None when it does not say what it is."""
        if not manifest.api_version or not manifest.kind:
            return None
        name = (manifest.api_version, manifest.kind)
        if name not in self._served:
            self._served[name] = kinds.served(*name, self._defined)
        return self._served[name]

    def problems(self, manifest: Manifest) -> Iterator[Problem]:
        """Yield what is wrong with an object's kind and fields."""
        fast: Callable[[object], bool] | None = self._fast.get((manifest.api_version, manifest.kind))
        if fast is not None and fast(manifest.data):
            return
        if missing := _missing(manifest.data):
            yield _missing_kind(manifest, missing)
            return
        match self.served(manifest):
            case "served" | "crd" if struct := kinds.struct_of(manifest.api_version, manifest.kind):
                yield from _fields(manifest, struct, manifest.data, lenient=self._lenient)
            case "unknown":
                hint = kinds.kind_hint(manifest.api_version, manifest.kind)
                text = kinds.no_match(manifest.api_version, manifest.kind)
                yield manifest.problem(("kind",), text, reason=NO_KIND_MATCH, hint=hint, field="")
            case "served" | "crd" | "custom":
                yield from _metadata(manifest, lenient=self._lenient)
            case "config" | None:
                return
            case other:
                assert_never(other)


def _defines(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield group and kind that a CustomResourceDefinition adds."""
    spec = data.get("spec")
    if (
        data.get("kind") == "CustomResourceDefinition"
        and isinstance(spec, dict)
        and isinstance(spec.get("names"), dict)
    ):
        yield str(spec.get("group")), str(spec["names"].get("kind"))


def _missing(data: dict[str, Any]) -> list[str]:
    return [key for key in ("apiVersion", "kind") if not isinstance(data.get(key), str) or not data[key]]


def _missing_kind(manifest: Manifest, missing: Sequence[str]) -> Problem:
    """Return kubectl's error for a document without apiVersion or kind."""
    wrong = [key for key in missing if manifest.data.get(key) is not None and manifest.data[key] != ""]
    if wrong:
        word = value_word(manifest.data[wrong[0]])
        text = f"json: cannot unmarshal {word} into Go struct field detector.{wrong[0]} of type string"
        return manifest.problem((wrong[0],), text, reason=BAD_TYPE)
    text = ", ".join(f"{key} not set" for key in missing)
    text = f"[{text}]" if len(missing) > 1 else text
    return Problem(
        manifest.where(),
        f"error validating data: {text}",
        kind=manifest.kind,
        namespace=manifest.namespace,
        name=manifest.name,
        reason=NO_KIND_MATCH,
    )


def _fields(manifest: Manifest, struct: str, data: dict[str, Any], *, lenient: bool) -> Iterator[Problem]:
    for finding in schema.findings(struct, data):
        if lenient and (letter := _letter(manifest, finding)):
            yield _read_as_text(manifest, finding, letter)
            continue
        unknown = finding.reason == "UnknownField"
        # The CustomResourceDefinitions of a cluster may be newer than what is known here.
        forgiven = manifest.stored or (lenient and struct.startswith("gateway."))
        yield manifest.problem(
            finding.path,
            finding.message,
            reason=finding.reason,
            hint=finding.hint,
            severity="warning" if unknown and forgiven else "error",
            at_key=unknown,
            field=schema.strict_path(finding.path) if unknown else None,
        )


def _letter(manifest: Manifest, finding: schema.Finding) -> str:
    """Return the letter that stands where text belongs and that only YAML 1.1 takes for a boolean, else ""."""
    if finding.code[:1] != "s" or not isinstance(manifest.positions, YamlPositions):
        return ""
    where = manifest.where(*finding.path)
    return manifest.positions.letters.get((where.line, where.column), "")


def _read_as_text(manifest: Manifest, finding: schema.Finding, letter: str) -> Problem:
    """Take `y` or `n` for text, as the program that wrote it did (PyYAML leaves them unquoted), with a warning.

    kubectl refuses it, and so does `validate`; the object is fresh from the parser and nobody else has seen it yet.
    """
    holder: Any = manifest.data
    for part in finding.path[:-1]:
        holder = holder[part]
    holder[finding.path[-1]] = letter
    if finding.path == ("metadata", "name"):
        manifest.name = letter
    elif finding.path == ("metadata", "namespace"):
        manifest.namespace = letter
    hint = f'kubectl refuses this; taken for the text "{letter}": put it in quotes'
    return manifest.problem(finding.path, finding.message, reason=finding.reason, hint=hint, severity="warning")


def _metadata(manifest: Manifest, *, lenient: bool) -> Iterator[Problem]:
    """Check what is the same for every kind."""
    metadata = manifest.data.get("metadata")
    if metadata is not None:
        yield from _fields(manifest, kinds.ANY, {"metadata": metadata}, lenient=lenient)
