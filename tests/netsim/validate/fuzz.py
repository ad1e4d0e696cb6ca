"""Mutated manifests: whatever is done to them, they are judged without a traceback.

`python tests/netsim/validate/fuzz.py 1000000 [SEED]` runs a million mutations; the suite runs a small sample.
"""

from __future__ import annotations

import copy
import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netsim.manifests.load import load
from netsim.validate.check import check_objects
from netsim.validate.judge import judge

FOLDERS = ("conformance/api/validation", "netsim/validate/seed", "netsim/manifests/bad")
TESTS = Path(__file__).parents[2]
WEIRD: list[Any] = [
    None,
    True,
    0,
    -1,
    70000,
    2**63,
    1.5,
    "",
    "None",
    "a b",
    "\x00",
    "é" * 300,
    "10.96.0.0/33",
    "::ffff:1.2.3.4",
    "256.1.1.1",
    "fe80::1%eth0",
    "1e999",
    "12ZZ",
    "@every",
    "*/0 * * * *",
    "Factory/Local",
    [],
    {},
    [None],
    [[]],
    {"a": {"b": []}},
    {"kind": "List", "items": [None, 5]},
]


def texts() -> list[bytes]:
    """Return the manifests that are mutated."""
    paths = [
        path for folder in FOLDERS for path in sorted((TESTS / folder).iterdir()) if path.suffix in (".yaml", ".json")
    ]
    return [path.read_bytes() for path in paths if path.stat().st_size < 20_000]


def objects(manifests: list[bytes]) -> list[Any]:
    """Return the objects in them, for mutations of structure."""
    loaded = [load(["-"], stdin=io.BytesIO(text), keep_bad=True).objects for text in manifests]
    return [manifest.data for found in loaded for manifest in found]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def mutate_object(data: Any, rng: random.Random) -> bytes:
    """Return an object with one to three of its values replaced, removed, doubled or renamed, as JSON."""
    root = [copy.deepcopy(data)]
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(places(root)))
        if not path:
            continue
        holder: Any = root
        for part in path[:-1]:
            holder = holder[part]
        key = path[-1]
        match rng.randrange(4):
            case 0:
                holder[key] = copy.deepcopy(rng.choice(WEIRD))
            case 1 if isinstance(holder, dict):
                holder[str(key)[1:] + "x"] = holder.pop(key)
            case 2 if holder is not root:
                del holder[key]
            case _:
                holder[key] = [holder[key], holder[key]]
    return json.dumps(root[0]).encode()


def mutate_text(text: bytes, rng: random.Random) -> bytes:
    """Return a text with one to four bytes or lines changed, removed or doubled."""
    changed = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        if not changed:
            break
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                del changed[at : at + rng.randint(1, 12)]
            case 2:
                changed[at:at] = rng.choice(
                    [b"\t", b"---\n", b"...\n", b": ", b"- ", b"&a ", b"*a ", b"{", b"]", b"\xff", b'"']
                )
            case _:
                changed[at:at] = changed[at : at + rng.randint(1, 40)]
    return bytes(changed)


def judge_all_ways(text: bytes) -> None:
    """Load and check a text as every verb does."""
    kept = load(["-"], stdin=io.BytesIO(text), keep_bad=True)
    verdict = judge(kept)
    usable = load(["-"], stdin=io.BytesIO(text))
    problems = (*verdict.errors, *verdict.warnings, *usable.problems, *check_objects(usable.objects))
    assert all("\n" not in str(problem) for problem in problems)


def run(count: int, seed: int) -> None:
    """Judge *count* mutations; on a failure say which text it was."""
    rng = random.Random(seed)
    manifests = texts()
    found = objects(manifests)
    for number in range(count):
        structured = rng.random() < 0.6
        text = mutate_object(rng.choice(found), rng) if structured else mutate_text(rng.choice(manifests), rng)
        try:
            judge_all_ways(text)
        except BaseException as error:
            raise AssertionError(f"mutation {number} of seed {seed} broke it: {text!r}") from error


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
