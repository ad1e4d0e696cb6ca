"""The nearest known name for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that *word* most likely means, "" when none is near.

    Differences in case only are nearest of all; otherwise at most a third of the letters may differ, counting a
    swapped pair as one (Damerau's distance).
    """
    candidates = [name for name in known if abs(len(name) - len(word)) <= _limit(word)]
    scored = sorted((_score(word, name), name) for name in candidates)
    return scored[0][1] if scored and scored[0][0] <= _limit(word) else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?`, or ""."""
    name = nearest(word, known)
    return f'did you mean "{name}"?' if name else ""


def _limit(word: str) -> float:
    return max(1.0, len(word) / 3)


def _score(word: str, name: str) -> float:
    if word.lower() == name.lower():
        return 0.5
    # A plural or a shared beginning is likelier than another word at the same distance.
    related = 0.25 if name.startswith(word) or word.startswith(name) else 0.0
    return distance(word.lower(), name.lower()) - related


def distance(left: str, right: str) -> int:
    """Return the number of insertions, deletions, substitutions and swaps of neighbours between two words."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            cost = min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
