"""Mutated clusters and words against every verb, in process: `python -m tests.fuzz.verbs --cases 20000 --seed 1`.

The law of each run: the exit code is one of the contract's for input and usage (0 to 3, never 70), it ends in bounded
time, stderr and text on stdout steer no terminal, JSON on stdout is JSON, rulesets hold only lines that a ruleset has,
and a run that ends with 2 has printed no data. The suite runs a bounded sample; failures are kept with --keep DIR.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from netsim.cli.main import run as run_verb
from tests.fuzz.mutate import Document, mutated
from tests.fuzz.words import command_line

ROOT = Path(__file__).resolve().parents[2]
CODES = frozenset((0, 1, 2, 3))
RULESET = re.compile(r"(?:[*:#-]|COMMIT$|\[\d+:\d+\] -A ).*\Z")
SECONDS, MOST_OBJECTS = 60, 120


class TooLong(BaseException):
    """A run did not end in time; no handler of the program may swallow it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a verb did."""

    words: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: str
    seconds: float
    raised: str = ""


def clusters() -> list[list[list[Document]]]:
    """Return the objects of recorded clusters and topologies that are small enough, by the kind of their place."""
    kinds: dict[tuple[str, ...], list[list[Document]]] = {}
    for path in sorted(_places()):
        objects = _objects(path)
        if 0 < len(objects) <= MOST_OBJECTS:
            kinds.setdefault(path.relative_to(ROOT).parts[:-2][:4], []).append(objects)
    return list(kinds.values())


def _places() -> Iterator[Path]:
    conformance = ROOT / "tests" / "conformance"
    yield from conformance.glob("**/manifests")
    yield from conformance.glob("flows/*/*/cluster.yaml")
    yield from conformance.glob("l7/*.yaml")
    yield from conformance.glob("api/validation/*.yaml")
    yield from (path.parent for path in conformance.glob("api/*/*/manifests.yaml"))
    yield from (path for path in (ROOT / "topologies").iterdir() if path.is_dir())


def _objects(place: Path) -> list[Document]:
    files = sorted(place.rglob("*.y*ml")) if place.is_dir() else [place]
    found: list[Any] = []
    for file in files:
        with contextlib.suppress(yaml.YAMLError):
            found += yaml.load_all(file.read_bytes(), Loader=_Loader)
    spread = [
        item for one in found if isinstance(one, dict) for item in one.get("manifests") or one.get("items") or [one]
    ]
    return [item for item in spread if isinstance(item, dict) and "kind" in item]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A loader that leaves timestamps as texts, as JSON has them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def write(documents: Sequence[Document], path: Path, rng: random.Random) -> None:
    """Write objects as a List, as JSON documents in a row, or as YAML."""
    match rng.randrange(4):
        case 0:
            text = "---\n".join(yaml.dump(document, Dumper=_DUMPER) for document in documents)
        case 1:
            text = "\n".join(map(json.dumps, documents))
        case _:
            text = json.dumps(
                {"apiVersion": "v1", "kind": "List", "items": list(documents)}, ensure_ascii=rng.random() < 0.5
            )
    path.write_text(text, encoding="utf-8")


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def run(words: Sequence[str], stdin: bytes = b"", main: Callable[[list[str]], int] = run_verb) -> Outcome:
    """Run one command in this process with captured standard streams."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8"),
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace"),
    )
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(stdin), "utf-8"), out, err
    start, raised, code = time.process_time(), "", -1
    try:
        with _time_limit():
            code = main(list(words))
            out.flush()
    except BaseException as error:
        raised = "".join(traceback.format_exception(error))
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept
    err.flush()
    return Outcome(
        tuple(words),
        code,
        out.buffer.getvalue(),
        err.buffer.getvalue().decode(),
        time.process_time() - start,
        raised,  # type: ignore[attr-defined]
    )


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def broken_law(outcome: Outcome) -> str:
    """Return which law a run breaks, "" for none."""
    if outcome.raised:
        return f"raised: {_last_place(outcome.raised)}"
    if outcome.code not in CODES:
        return f"exit code {outcome.code}: {_last_place(outcome.stderr)}"
    if "Traceback (most recent call last)" in outcome.stderr:
        return f"traceback: {_last_place(outcome.stderr)}"
    if any(map(_steers, outcome.stderr)):
        return "stderr: control characters"
    if outcome.code == 2 and outcome.stdout:
        return "exit code 2 after data on stdout"
    if outcome.code in (2, 3) and not outcome.stderr.strip():
        return f"exit code {outcome.code} without a word"
    return broken_data(outcome)


def broken_data(outcome: Outcome) -> str:
    """Return what is wrong with the data printed, "" for nothing."""
    words, data = outcome.words, outcome.stdout
    form = words[words.index("-o") + 1] if "-o" in words else "text"
    if not data or form == "pcap":
        return ""
    text = data.decode("utf-8", "replace")
    try:
        if form == "json":
            json.loads(data, parse_constant=_no_constant)
        elif form == "svg":
            ElementTree.fromstring(data)
        elif form == "yaml":
            yaml.load(text, Loader=_Loader)
    except (ValueError, ElementTree.ParseError, yaml.YAMLError) as error:
        return f"{words[0]} -o {form}: {type(error).__name__} {re.sub(r'[0-9]+', 'N', str(error))[:80]}"
    if form in ("restore", "save") and not all(RULESET.match(line) for line in text.splitlines()):
        return f"-o {form}: a line that is none of a ruleset"
    if form in ("html", "svg") and "<script>alert" in text:
        return f"-o {form}: markup from a name"
    # Rules hold names as they are; only what ends a line or starts an escape is refused in them.
    steers = _is_control if words[0] == "compile" else _steers
    if form not in ("yaml", "json", "html", "svg") and any(map(steers, text)):
        return f"{words[0]} -o {form}: control characters in text"
    return ""


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and character not in "\n\t"


def _steers(character: str) -> bool:
    return not (character.isprintable() or character in "\n\t")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _last_place(trace: str) -> str:
    """Return the program's innermost frame and the exception: one line a bug."""
    frames = [
        found for found in re.findall(r'File "([^"]+)", line (\d+), in (\S+)', trace) if "tests/fuzz" not in found[0]
    ]
    own = [frame for frame in frames if "netsim/" in frame[0] or "iptables_gen/" in frame[0]]
    words = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception|TooLong|Interrupt|Exit|Iteration))\b", trace, re.MULTILINE)
    place = "{}:{} {}".format(*own[-1]) if own else "?"
    return f"{place.rpartition('main/')[2]} {words[0] if words else ''}".strip()


def campaign(cases: int, seed: int, kept: Path | None, pool: Sequence[Sequence[list[Document]]]) -> dict[str, int]:
    """Run mutated clusters; return how often each law was broken."""
    broken: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "c.input"
        for case in range(cases):
            rng = random.Random(f"{seed}/{case}")
            documents = mutated(rng.choice(rng.choice(pool)), rng, rounds=rng.choice((0, 1, 1, 2, 3, 5, 9)))
            write(documents, path, rng)
            for _ in range(2):
                law = broken_law(outcome := run([*_with_file(command_line(documents, rng), path)]))
                if outcome.seconds > SECONDS / 4 and not law:
                    law = f"slow: {outcome.words[0]}"
                if law:
                    broken[law] = broken.get(law, 0) + 1
                    if kept and broken[law] <= 3:
                        keep(kept, f"{seed}-{case}", law, outcome, path.read_bytes())
    return broken


def _with_file(words: list[str], path: Path) -> list[str]:
    return [words[0], "-f", str(path), *words[1:]]


def keep(directory: Path, name: str, law: str, outcome: Outcome, data: bytes) -> None:
    label = re.sub(r"\W+", "_", law)[:100]
    place = directory / label / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "input").write_bytes(data)
    (place / "words").write_text(json.dumps([str(place / "input") if "c.input" in w else w for w in outcome.words]))
    (place / "law").write_text(f"{law}\n{outcome.code} {outcome.seconds:.1f} s\n{outcome.raised}\n{outcome.stderr}")
    (place / "stdout").write_bytes(outcome.stdout)


def main() -> int:
    """Run from the command line, in processes of a few hundred cases: nothing frees what a verb leaves to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=400)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    pool, failed = clusters(), 0
    for batch in range(0, given.cases, given.each):
        child = os.fork()
        if child == 0:
            broken = campaign(min(given.each, given.cases - batch), given.seed * 1_000_000 + batch, given.keep, pool)
            for law, times in sorted(broken.items()):
                print(f"{times:6} {law}", flush=True)
            os._exit(1 if broken else 0)
        failed += os.waitpid(child, 0)[1] != 0
        print(f"{batch + given.each} cases, {failed} batches broke a law", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
