"""`netsim why` as a picture: client, DNS, Service, rules, endpoints; grey where it breaks. SVG, and HTML around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from textwrap import wrap

from netsim.errors import printable
from netsim.report.why import Diagnosis, Fix, PodLine
from netsim.report.why_text import text

MOST_BOXES = 8
WIDTH, HEIGHT, GAP, MARGIN = 184, 78, 46, 24
COLUMNS = 5
FONT = "font-family='ui-monospace, SFMono-Regular, Menlo, Consolas, monospace'"


@dataclass(frozen=True, slots=True)
class Box:
    """One box: title and lines of text; `state` ok, bad (here it breaks), off (never reached) or warn."""

    title: str
    lines: tuple[str, ...]
    state: str


COLOURS = {
    "ok": ("#e8f5ec", "#2f855a", "#1c4532"),
    "warn": ("#fff8e1", "#b7791f", "#5f370e"),
    "bad": ("#fdecea", "#c53030", "#63171b"),
    "off": ("#f1f3f5", "#adb5bd", "#868e96"),
}
"""State -> fill, stroke and text colour."""


def boxes(diagnosis: Diagnosis) -> tuple[list[Box], list[Box]]:
    """Return the chain (client, DNS, Service, rules) and the endpoints."""
    service = diagnosis.service
    fqdn = f"{diagnosis.name}.{diagnosis.namespace}.svc"
    if service is None:
        chain = [
            Box("client", ("pod, node, outside",), "ok"),
            Box("DNS", (fqdn, "NXDOMAIN"), "bad"),
            Box("Service", ("does not exist",), "bad"),
            Box("rules", ("none",), "off"),
        ]
        return chain, []
    alias = service.type == "ExternalName"
    answer = f"CNAME {service.external_name}" if alias else ", ".join(service.cluster_ips)
    answer = "the pods' addresses" if service.headless else answer
    dead = diagnosis.verdict == "BROKEN"
    selects = ",".join(f"{key}={value}" for key, value in (service.selector or {}).items()) or "no selector"
    broken_selector = any(fix.code in ("SELECTOR_MATCHES_NOTHING", "NO_SELECTOR") for fix in diagnosis.fixes)
    state = "bad" if broken_selector else "warn" if diagnosis.verdict == "DEGRADED" else "ok"
    chain = [
        Box("client", tuple(_clients(diagnosis)), "ok"),
        Box("DNS", (fqdn, answer), "ok"),
        Box(f"Service {service.type}", (f"{diagnosis.namespace}/{diagnosis.name}", selects), state),
        Box("rules", tuple(_rules(diagnosis)), "off" if broken_selector else "bad" if dead else "ok"),
    ]
    return chain, _endpoints(diagnosis)


def _clients(diagnosis: Diagnosis) -> Iterator[str]:
    for client in ("pod", "node", "outside"):
        ways = [way for way in diagnosis.reach if way.client == client]
        if ways:
            yield f"{client}: {'yes' if any(way.works for way in ways) else 'no'}"


def _rules(diagnosis: Diagnosis) -> Iterator[str]:
    service = diagnosis.service
    if service is None or service.type == "ExternalName" or service.headless:
        yield "none: DNS only"
        return
    for line in diagnosis.ports[:3]:
        what = f"DNAT 1 of {line.ready}" if line.ready else "REJECT"
        yield f"{line.port.port}/{line.port.protocol} {what}"


def _endpoints(diagnosis: Diagnosis) -> list[Box]:
    if diagnosis.pods:
        return [_pod_box(line) for line in diagnosis.pods]
    return [
        Box(
            endpoint.addresses[0],
            (f"on {endpoint.node_name}" if endpoint.node_name else "outside the cluster",),
            "bad" if endpoint.ready is False else "ok",
        )
        for endpoint in diagnosis.endpoints
    ]


def _pod_box(line: PodLine) -> Box:
    pod = line.pod
    if line.endpoint:
        return Box(pod.name, (", ".join(pod.ips), f"on {pod.node_name}"), "ok")
    return Box(pod.name, (line.why, f"on {pod.node_name}" if pod.node_name else "not scheduled"), "bad")


def svg(diagnosis: Diagnosis) -> str:
    """Return the picture; every text is escaped, nothing in it can run."""
    chain, ends = boxes(diagnosis)
    shown, more = ends[:MOST_BOXES], max(len(ends) - MOST_BOXES, 0)
    rows = max(len(shown) + bool(more), 1)
    height = 2 * MARGIN + 40 + rows * (HEIGHT + 14)
    width = 2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP
    middle = MARGIN + 40 + (rows * (HEIGHT + 14) - 14 - HEIGHT) / 2
    parts = list(_chain(chain, middle))
    parts += _fan(chain[-1], shown, more, middle)
    size = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT}>"
    label = f"svc/{diagnosis.namespace}/{diagnosis.name}: {diagnosis.verdict}"
    title = f"<title>{_safe(label)}</title><rect width='100%' height='100%' fill='#ffffff'/>"
    summary = _text(MARGIN, MARGIN + 8, f"{label}: {diagnosis.summary}", 14, "#212529", 110)
    return "\n".join((head, title, summary, *parts, "</svg>")) + "\n"


def _chain(chain: Sequence[Box], middle: float) -> Iterator[str]:
    dead = False
    for column, box in enumerate(chain):
        if column:
            yield _arrow(_left(column - 1) + WIDTH, middle + HEIGHT / 2, _left(column), middle + HEIGHT / 2, off=dead)
        yield _box(box, _left(column), middle)
        dead = dead or box.state in ("bad", "off")


def _fan(rules: Box, shown: Sequence[Box], more: int, middle: float) -> Iterator[str]:
    x, start = _left(COLUMNS - 1), _left(COLUMNS - 2) + WIDTH
    listed = [*shown, *([Box(f"and {more} more", (), "off")] if more else [])] or [Box("no endpoint", (), "off")]
    for row, box in enumerate(listed):
        y = MARGIN + 40 + row * (HEIGHT + 14)
        unreached = rules.state in ("bad", "off")
        off = unreached or box.state != "ok"
        box = replace(box, state="off") if unreached and box.state == "ok" else box
        yield _arrow(start, middle + HEIGHT / 2, x, y + HEIGHT / 2, off=off)
        yield _box(box, x, y)


def _left(column: int) -> int:
    return MARGIN + column * (WIDTH + GAP)


def _box(box: Box, x: float, y: float) -> str:
    fill, stroke, ink = COLOURS[box.state]
    dash = " stroke-dasharray='5 4'" if box.state == "off" else ""
    rect = f"<rect x='{x}' y='{y}' width='{WIDTH}' height='{HEIGHT}' rx='8' fill='{fill}' stroke='{stroke}'{dash}/>"
    title = _text(x + 10, y + 20, box.title, 12, ink, 23, bold=True)
    wrapped = [part for line in box.lines for part in wrap(printable(line), 27)[:2]]
    lines = [_text(x + 10, y + 38 + 14 * i, line, 10, ink, 27) for i, line in enumerate(wrapped[:3])]
    hover = f"<title>{_safe('; '.join((box.title, *box.lines)))}</title>"
    return f"<g>{hover}{rect}{title}{''.join(lines)}</g>"


def _arrow(x1: float, y1: float, x2: float, y2: float, *, off: bool) -> str:
    colour, dash = ("#ced4da", " stroke-dasharray='4 4'") if off else ("#2f855a", "")
    head = f"<path d='M{x2 - 7},{y2 - 4} L{x2},{y2} L{x2 - 7},{y2 + 4}' fill='none' stroke='{colour}'/>"
    bend = (x1 + x2) / 2
    line = f"<path d='M{x1},{y1} C{bend},{y1} {bend},{y2} {x2 - 1},{y2}' fill='none' stroke='{colour}'{dash}/>"
    return line + head


def _text(x: float, y: float, what: str, size: int, colour: str, most: int, *, bold: bool = False) -> str:
    shown = what if len(what) <= most else what[: most - 1] + "…"
    weight = " font-weight='bold'" if bold else ""
    return f"<text x='{x}' y='{y}' font-size='{size}' fill='{colour}'{weight}>{_safe(shown)}</text>"


def _safe(what: str) -> str:
    return escape(printable(what), quote=True)


STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#212529;background:#fff}"
    "pre{background:#f8f9fa;padding:1rem;border-radius:8px;white-space:pre-wrap}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #dee2e6}"
)


def html(diagnosis: Diagnosis) -> str:
    """Return a page with the picture, what to fix, and the text; it loads nothing and runs nothing."""
    title = _safe(f"svc/{diagnosis.namespace}/{diagnosis.name}: {diagnosis.verdict}")
    rows = "".join(_row(fix) for fix in diagnosis.fixes)
    fixes = f"<h2>To fix</h2><table><tr><th>what</th><th>do</th><th>where</th></tr>{rows}</table>" if rows else ""
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n{svg(diagnosis)}{fixes}"
        f"<h2>In words</h2><pre>{escape(text(diagnosis))}</pre></body></html>\n"
    )


def _row(fix: Fix) -> str:
    cells = (fix.text, fix.advice, str(fix.place or ""))
    return "<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in cells) + "</tr>"
