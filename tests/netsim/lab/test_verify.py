"""Comparing predictions with observations: what counts as agreement, and that disagreement is seen."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from netsim.cli.lab_verify import read_questions
from netsim.errors import UsageError
from netsim.journey.lazy import names_of
from netsim.lab.probe import Observation, delivered
from netsim.lab.questions import Question
from netsim.lab.verify import compare
from netsim.trace.tracer import Tracer
from tests.conformance_support.model import tracer_for

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


SHOP = str(Path(__file__).parents[3] / "topologies" / "shop")


def asked(folder: Path, **query: object) -> tuple[Question, ...]:
    network = tracer_for((SHOP,), ()).network
    path = folder / "queries"
    path.write_text(json.dumps(query) + "\n")
    return read_questions(str(path), Tracer(network, resolver=names_of(network, "iptables", {})), "shop")


def test_a_query_may_name_a_service_or_a_host(tmp_path: Path) -> None:
    expected = (Question("pod/shop/frontend-0", "10.96.20.1:80", "tcp", None, "shop/api"),)
    for target in ("svc/shop/api:http", "api:80", "10.96.20.1:80"):
        assert asked(tmp_path, **{"from": "pod/shop/frontend-0", "to": target}) == expected
    # The Service is known whatever the query calls it: only so is its affinity.
    (sticky,) = asked(tmp_path, **{"from": "external", "to": "192.168.10.3:30080"})
    assert (sticky.source, sticky.service) == ("external/198.51.100.10", "shop/frontend")


def test_a_load_balancer_is_asked_once_through_each_node(tmp_path: Path) -> None:
    questions = asked(tmp_path, **{"from": "external", "to": "203.0.113.10:80"})
    assert [question.via for question in questions] == ["node/node-1", "node/node-2"]
    (one,) = asked(tmp_path, **{"from": "external", "to": "203.0.113.10:80", "via": "node/node-3"})
    assert one.via == "node/node-3"


@pytest.mark.parametrize("target", ["http://shop.example.com/", "svc/shop/nothing:80", "nonsense"])
def test_what_is_no_flow_is_refused_with_its_line(tmp_path: Path, target: str) -> None:
    with pytest.raises(UsageError, match="queries:1: not a query"):
        asked(tmp_path, **{"from": "external", "to": target})
