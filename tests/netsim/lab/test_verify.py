"""Comparing predictions with observations: what counts as agreement, and that disagreement is seen."""

from __future__ import annotations

from fractions import Fraction

import pytest

from netsim.lab.probe import Observation, delivered
from netsim.lab.questions import Question
from netsim.lab.verify import compare

ASKED = Question("pod/a/b", "10.96.0.1:80", "tcp")
ONE = Observation("DELIVERED", "10.244.1.5:80", "10.244.2.9")
TWO = Observation("DELIVERED", "10.244.2.5:80", "10.244.2.9")
WORDS_ONE = "DELIVERED 10.244.1.5:80 from 10.244.2.9"
WORDS_TWO = "DELIVERED 10.244.2.5:80 from 10.244.2.9"
BOTH = {WORDS_ONE: Fraction(1, 2), WORDS_TWO: Fraction(1, 2)}


@pytest.mark.parametrize(
    ("shares", "seen", "sticky", "result"),
    [
        pytest.param({WORDS_ONE: Fraction(1)}, [ONE] * 4, False, "agree", id="certain and seen"),
        pytest.param({WORDS_ONE: Fraction(1)}, [TWO], False, "differ", id="another endpoint"),
        pytest.param({"REFUSED": Fraction(1)}, [Observation("TIMEOUT")], False, "differ", id="silence for an error"),
        pytest.param({"SILENCE": Fraction(1)}, [Observation("TIMEOUT")] * 4, False, "agree", id="silence"),
        pytest.param(BOTH, [ONE, TWO] * 12, False, "agree", id="both, equally often"),
        pytest.param(BOTH, [ONE] * 40, False, "differ", id="one never seen"),
        pytest.param(BOTH, [ONE] * 99 + [TWO], False, "differ", id="one far too often"),
        pytest.param(BOTH, [ONE] * 4, True, "agree", id="affinity holds"),
        pytest.param(BOTH, [ONE, TWO], True, "differ", id="affinity does not hold"),
    ],
)
def test_agreement(shares: dict[str, Fraction], seen: list[Observation], sticky: bool, result: str) -> None:
    assert compare(ASKED, shares, seen, sticky=sticky).result == result


def test_an_echo_answer_says_who_and_whom_it_saw() -> None:
    line = b'{"pod": "pod/a/b", "server": {"ip": "fd00::1", "port": 80}, "client": {"ip": "fd00::2", "port": 9}}\n'
    assert delivered(line) == Observation("DELIVERED", "[fd00::1]:80", "fd00::2", "pod/a/b")
