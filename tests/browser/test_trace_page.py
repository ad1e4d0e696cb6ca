"""The page of `netsim trace -o html` in a real browser: clicks, keys, what is visible, and that nothing else runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from netsim.cli.trace_forms import Manifests
from netsim.report.html import html
from netsim.report.lanes import lanes
from tests.browser.cdp import Page, browser
from tests.netsim.report.picture_cases import HOSTILE, answer, cluster, traced, written

pytestmark = pytest.mark.browser
PANEL = "document.getElementById('panel')"
ENTER, ESCAPE, TAB, SPACE = ("Enter", 13, "\r"), ("Escape", 27), ("Tab", 9), (" ", 32, " ")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture
def page(chromium: Page, tmp_path: Path) -> Page:
    file = tmp_path / "trace.html"
    file.write_text(html(lanes(answer("a nodePort from outside"), back=True), Manifests().excerpt))
    chromium.events.clear()
    chromium.open(file)
    return chromium


def line(page: Page, text: str) -> str:
    """Return a selector of the picture's line that says a text."""
    number = page.value(
        f"[...document.querySelectorAll('.line')].find(g => g.textContent.includes({text!r})).dataset.rule"
    )
    return f'.line[data-rule="{number}"]'


def shown(page: Page) -> str:
    """Return the text that a person sees in the panel, "" while it is hidden."""
    text = page.value(f"{PANEL}.hidden ? '' : {PANEL}.innerText")
    assert isinstance(text, str)
    return text


def test_a_click_shows_the_rule_and_its_manifest_line(page: Page) -> None:
    assert shown(page) == ""
    page.click(line(page, "DNAT ⇒ 10.244.2.10:8080"))
    text = shown(page)
    assert "--to-destination 10.244.2.10:8080" in text
    assert "--mode random" not in text
    assert "Pod shop/frontend-1" in text
    assert "pods.yaml:22" in text
    assert "name: frontend-1" in text
    assert "198.51.100.10:40000 → 10.244.2.10:8080/tcp, mark 0x4000" in text


def test_another_click_shows_another_rule_and_close_puts_it_away(page: Page) -> None:
    page.click(line(page, "→ KUBE-SVC-"))
    page.click(line(page, "→ KUBE-EXT-"))
    assert "nodePort: 30080" in shown(page)
    assert page.value("document.querySelectorAll('.chosen').length") == 1
    page.click("#panel button")
    assert shown(page) == ""


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    page.press(*TAB)
    first = page.value("document.activeElement.getAttribute('aria-label')")
    assert first == "KUBE-NODEPORTS → KUBE-EXT-PY4JZH2ITZYEO4CN"
    page.press(*ENTER)
    assert "-A KUBE-NODEPORTS" in shown(page)
    page.press(*ESCAPE)
    assert shown(page) == ""
    assert page.value("document.activeElement.getAttribute('aria-label')") == first
    page.press(*TAB)
    page.press(*SPACE)
    assert "KUBE-MARK-MASQ" in shown(page)


def test_every_rule_is_in_the_lists_too(page: Page) -> None:
    assert page.value("document.querySelectorAll('details').length") > 20
    page.click("details#rule-4 summary")
    assert page.value("document.querySelector('details#rule-4').open") is True
    assert "services.yaml" in page.value("document.querySelector('details#rule-4').innerText")


def test_every_line_of_the_picture_opens_something(page: Page) -> None:
    opened = page.value(
        "[...document.querySelectorAll('.line')].map(g => { g.dispatchEvent(new MouseEvent('click'));"
        " return document.querySelector('#panel pre').textContent; })"
    )
    assert len(opened) > 10
    assert all(opened)


def test_the_page_asks_nothing_of_the_network_and_breaks_no_policy(page: Page) -> None:
    page.click(line(page, "DNAT ⇒ 10.244.2.10:8080"))
    urls = [e["params"]["request"]["url"] for e in page.events if e.get("method") == "Network.requestWillBeSent"]
    assert all(url.startswith("file:") for url in urls)
    assert len(urls) == 1
    assert not [event for event in page.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


def test_names_in_manifests_are_only_text(chromium: Page, tmp_path: Path) -> None:
    objects = cluster(3, pod_name=HOSTILE + "{}", node_name=HOSTILE + "{}")
    found = traced(written(tmp_path, objects), "external", "192.168.10.1:30001")
    file = tmp_path / "hostile.html"
    file.write_text(html(lanes(found, back=True), Manifests().excerpt))
    chromium.events.clear()
    chromium.open(file)
    assert chromium.value("document.images.length") == 0
    assert chromium.value("document.scripts.length") == 1
    assert chromium.value("document.title").startswith("external to 192.168.10.1:30001")
    chromium.click('.line[role="button"]')
    assert chromium.value(f"{PANEL}.querySelectorAll('img, script').length") == 0
    assert HOSTILE in chromium.value("document.body.innerText")


def test_the_picture_fits_the_window_or_scrolls_inside_its_frame(page: Page) -> None:
    assert page.value("document.documentElement.scrollWidth <= window.innerWidth") is True
