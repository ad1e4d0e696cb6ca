"""Lanes: what outcomes share comes once, weights flow, nothing overlaps; DOT, SVG and the page are well formed."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.report.dot import dot
from netsim.report.html import Excerpt, html
from netsim.report.lane_layout import CARD_GAP, cells, clip, lay_out, text_width
from netsim.report.lane_lines import in_one_order
from netsim.report.lanes import Band, Lanes, lanes, weight
from netsim.report.svg import svg
from netsim.trace.steps import steps_of
from tests.netsim.report.picture_cases import CASES, HOSTILE, QUOTES, answer, cluster, many, traced, written

SVG = "{http://www.w3.org/2000/svg}"
ALL = pytest.mark.parametrize("case", CASES)


def bands(picture: Lanes) -> list[Band]:
    return [band for band in (picture.there, picture.back) if band is not None]


@ALL
def test_what_comes_to_a_card_leaves_it_or_ends_there(case: str) -> None:
    for band in bands(lanes(answer(case), back=True)):
        incoming: Counter[str] = Counter()
        outgoing: Counter[str] = Counter()
        for edge in band.edges:
            incoming[edge.target] += edge.share  # type: ignore[assignment]
            outgoing[edge.source] += edge.share  # type: ignore[assignment]
        for card in band.cards:
            ended = sum((ending.share for ending in card.endings), Fraction(0))
            assert card.share == outgoing[card.key] + ended
            assert incoming[card.key] in (0, card.share)


@ALL
def test_all_outcomes_end_somewhere(case: str) -> None:
    there = lanes(answer(case)).there
    assert sum(ending.share for card in there.cards for ending in card.endings) == 1


@ALL
def test_every_host_of_every_way_is_drawn(case: str) -> None:
    found = answer(case)
    titles = {card.title for card in lanes(found).there.cards}
    for outcome in found.outcomes:
        for hop in outcome.hops:
            host = hop.machine.host
            assert ("/".join(host.pod) if host.pod else host.name) in titles


@ALL
def test_edges_go_right_on_the_way_there_and_left_on_the_way_back(case: str) -> None:
    picture = lanes(answer(case), back=True)
    for band, forward in zip(bands(picture), (True, False), strict=False):
        column = {card.key: card.column for card in band.cards}
        for edge in band.edges:
            assert (column[edge.source] < column[edge.target]) is forward


def test_a_fork_is_drawn_once_with_the_weights_of_its_branches() -> None:
    picture = lanes(answer("a nodePort from outside"))
    entry = [card for card in picture.there.cards if card.title == "node-1"]
    assert len(entry) == 1
    lines = [line for box in entry[0].boxes if box.hook == "PREROUTING" for line in box.lines]
    assert [(line.effect, line.share) for line in lines if line.kind == "dnat"] == [
        ("DNAT ⇒ 10.244.1.10:8080", Fraction(1, 2)),
        ("DNAT ⇒ 10.244.2.10:8080", Fraction(1, 2)),
    ]
    assert [line.effect for line in lines if line.share == 1] == [
        "→ KUBE-EXT-PY4JZH2ITZYEO4CN",
        "→ KUBE-MARK-MASQ",
        "mark 0x4000",
        "→ KUBE-SVC-PY4JZH2ITZYEO4CN",
    ]


def test_edges_say_only_what_changed() -> None:
    there = lanes(answer("a nodePort from outside")).there
    changes = {(edge.source.split("@")[0], edge.target.split("@")[0]): edge.changes for edge in there.edges}
    assert changes["external/198.51.100.10", "router"] == ()
    assert changes["node-1", "node-2"] == ("dst ⇒ 10.244.2.10:8080", "src ⇒ 192.168.10.1")
    assert changes["node-2", "pod/shop/frontend-1"] == ()


def test_the_way_back_is_drawn_when_asked_for() -> None:
    found = answer("a nodePort from outside")
    assert lanes(found).back is None
    back = lanes(found, back=True).back
    assert back is not None
    assert [e.title for card in back.cards for e in card.endings] == ["ANSWER ARRIVES"]


@pytest.mark.parametrize(
    ("case", "title", "state"),
    [
        ("a nodePort from outside", "DELIVERED", "good"),
        ("no endpoints", "REFUSED NO_ENDPOINTS", "bad"),
        ("no local endpoints", "DROPPED NO_LOCAL_ENDPOINTS", "bad"),
        ("source ranges", "DROPPED SOURCE_RANGES", "bad"),
    ],
)
def test_endings_are_coloured_by_what_happens(case: str, title: str, state: str) -> None:
    endings = {(e.title, e.state) for card in lanes(answer(case)).there.cards for e in card.endings}
    assert endings == {(title, state)}


def test_minimal_detail_has_no_boxes_and_full_has_every_rule() -> None:
    found = answer("a nodePort from outside")
    assert not any(card.boxes for card in lanes(found, detail="minimal").there.cards)
    full = lanes(found, detail="full").there
    drawn = {step.rule.text for c in full.cards for b in c.boxes for x in b.lines for step in x.steps if step.rule}
    met = {s.rule.text for o in found.outcomes for hop in o.hops for s in steps_of(hop, full=True) if s.rule}
    assert drawn == met


def test_many_endpoints_share_cards_and_weights_still_sum_to_one(tmp_path: Path) -> None:
    picture = lanes(many(tmp_path, 60), back=True)
    for band in bands(picture):
        assert max(Counter(card.column for card in band.cards).values()) <= 17
    assert sum(ending.share for card in picture.there.cards for ending in card.endings) == 1
    assert [card.title for card in picture.there.cards if card.kind == "more"] == ["44 more"]


@given(st.lists(st.lists(st.integers(0, 8), unique=True, max_size=7), max_size=6))
def test_orders_are_merged_without_loss_or_repetition(ways: list[list[int]]) -> None:
    merged = in_one_order(ways)
    assert sorted(merged) == sorted({item for way in ways for item in way})


@given(st.lists(st.integers(0, 9), unique=True), st.data())
def test_sequences_that_agree_keep_their_order(order: list[int], data: st.DataObject) -> None:
    ways = [[item for item in order if data.draw(st.booleans())] for _ in range(3)]
    merged = in_one_order(ways)
    for way in ways:
        places = [merged.index(item) for item in way]
        assert places == sorted(places)


@given(st.text(), st.floats(20, 400))
def test_a_clipped_text_fits(text: str, width: float) -> None:
    assert text_width(clip(text, width, 11), 11) <= max(width, text_width(text[:1], 11))


def test_a_clipped_name_keeps_both_ends() -> None:
    assert clip("recommendation-engine-6d9f7b8c5d-x7k2p", 140, 11) == "recommenda…c5d-x7k2p"
    assert cells("日本") == 4


@pytest.mark.parametrize("pods", [1, 2, 10, 13, 40])
def test_no_card_touches_another(pods: int, tmp_path: Path) -> None:
    columns, layouts = lay_out(lanes(many(tmp_path, pods), back=True), 28, 100)
    for left, right in pairwise(range(len(columns.lefts))):
        assert columns.lefts[left] + columns.widths[left] < columns.lefts[right]
    for layout in layouts:
        for column in range(len(columns.lefts)):
            stacked = sorted((p.y, p.y + p.height) for p in layout.cards if p.column == column)
            assert all(above[1] + CARD_GAP <= below[0] + 0.2 for above, below in pairwise(stacked))
    assert all(above.bottom < below.top for above, below in pairwise(layouts))


@ALL
def test_the_picture_is_xml_that_cannot_run(case: str) -> None:
    root = ET.fromstring(svg(lanes(answer(case), back=True)))
    assert root.tag == f"{SVG}svg"
    names = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert names <= {"svg", "g", "rect", "path", "text", "title"}
    assert not any(name.startswith("on") or "href" in name for element in root.iter() for name in element.attrib)


@ALL
def test_equal_answers_are_equal_bytes(case: str) -> None:
    folder, source, target, _ = CASES[case]
    found = answer(case)
    for render in (svg, dot, html):
        assert render(lanes(found, back=True)) == render(lanes(answer(case), back=True)), (folder, source, target)


def test_the_order_of_objects_does_not_matter(tmp_path: Path) -> None:
    objects = cluster(10)
    texts = set()
    for listed in (objects, objects[::-1]):
        found = traced(written(tmp_path, listed), "external", "192.168.10.1:30001")
        texts.add(svg(lanes(found, back=True)))
    assert len(texts) == 1


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
@pytest.mark.parametrize("case", ["a nodePort from outside", "no endpoints", "a nodePort from outside, ipvs"])
def test_graphviz_reads_the_graph(case: str) -> None:
    text = dot(lanes(answer(case), back=True))
    done = subprocess.run(("dot", "-Tplain"), input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "DNAT" in done.stdout or "REFUSED" in done.stdout or "IPVS" in done.stdout


@pytest.mark.parametrize("name", [HOSTILE, QUOTES], ids=["markup", "quotes and controls"])
def test_hostile_names_are_only_text(name: str, tmp_path: Path) -> None:
    objects = cluster(3, pod_name=name + "{}", node_name=name + "{}")
    found = traced(written(tmp_path, objects), "external", "192.168.10.1:30001")
    picture = lanes(found, back=True)
    root = ET.fromstring(svg(picture))
    # Bidirectional controls are spelled out: they must not turn what follows around.
    plain = [text.text or "" for text in root.iter(f"{SVG}title")]
    shown = name.replace("\u202e", "\\u202e")
    assert any(shown in text for text in plain)
    page = html(picture)
    assert page.count("<script>") == 1
    parser = Tags()
    parser.feed(page)
    assert parser.names <= {*PLAIN_TAGS.split(), *SVG_TAGS}
    assert not parser.handlers
    if shutil.which("dot"):
        done = subprocess.run(("dot", "-Tplain"), input=dot(picture), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


PLAIN_TAGS = """html head meta title style body h1 h2 h3 small div main details summary span pre dl dt dd code p mark
    table tr th td aside button script"""
SVG_TAGS = frozenset(("svg", "g", "rect", "path", "text"))


class Tags(HTMLParser):
    """Collects the elements of a page, what could run in it, what it refers to, and its ids."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.rules: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.handlers += [name] * name.startswith("on")
            self.links += [value or ""] * (name in ("src", "href", "xlink:href", "action"))
            self.ids += [value or ""] * (name == "id")
            self.rules += (value or "").split() if name == "data-rule" else []


@ALL
def test_the_page_is_self_contained_and_every_line_leads_somewhere(case: str) -> None:
    parser = Tags()
    page = html(lanes(answer(case), back=True))
    parser.feed(page)
    assert parser.links == []
    assert len(parser.ids) == len(set(parser.ids))
    assert {f"rule-{number}" for number in parser.rules} <= set(parser.ids)
    drawn = [
        line for band in bands(lanes(answer(case), back=True)) for c in band.cards for b in c.boxes for line in b.lines
    ]
    assert bool(parser.rules) == bool(drawn)


def test_the_page_has_every_rule_in_full() -> None:
    found = answer("a nodePort from outside")
    page = html(lanes(found))
    for outcome in found.outcomes:
        for hop in outcome.hops:
            for step in steps_of(hop):
                assert step.rule is not None
                assert step.rule.text.replace('"', "&quot;").replace(">", "&gt;") in page


def test_the_page_shows_the_manifests_lines_around_the_one_that_matters() -> None:
    def excerpt(file: str, line: int) -> Excerpt:
        return Excerpt(line - 1, line, ("before", f"<{Path(file).name}>"))

    page = html(lanes(answer("a nodePort from outside")), excerpt)
    assert re.search(r"<mark> +37  &lt;services.yaml&gt;</mark>", page)


def test_weights_are_fractions_until_they_are_long() -> None:
    assert weight(Fraction(1, 3)) == "1/3"
    assert weight(Fraction(3333333333, 10**10)) == "≈33.33%"
