"""A lab's picture as one self-contained SVG: the outside, the router, the switch, a column a node. Pure.

Text is in a monospaced face, so that widths are known without measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from netsim.lab.picture import NodeBox, Picture, PodBox

CHAR, LINE, PAD, GAP = 7.3, 17, 10, 26
STYLE = """
.back { fill: #ffffff } text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2933 }
.title { font-size: 15px; font-weight: bold } .head { font-weight: bold } .dim { fill: #5f6b7a }
.box { fill: #f5f7fa; stroke: #9aa5b1 } .node { fill: #eef4fb; stroke: #5b8def } .pod { fill: #ffffff; stroke: #9aa5b1 }
.dns { stroke: #2f855a; stroke-width: 2 } .ingress { stroke: #b7791f; stroke-width: 2 }
.off { stroke-dasharray: 4 3; fill: #faf3f3 } .wire { stroke: #9aa5b1; fill: none }
.bus { stroke: #5b8def; stroke-width: 4 }
"""


class Drawn(NamedTuple):
    """Lines of SVG and the size that they take."""

    lines: tuple[str, ...]
    width: float
    height: float


def as_svg(picture: Picture) -> str:
    """Return the drawing as a document."""
    columns = [_node(node) for node in picture.nodes]
    inner = sum(column.width + GAP for column in columns) - GAP if columns else 0.0
    top = _top(picture)
    width = max(inner, top.width, len(_title(picture)) * CHAR * 1.3) + 2 * GAP
    bus = 40 + top.height + GAP
    lines = [
        f'<rect class="back" width="{width:.0f}" height="100%"/>',
        _text(GAP, 28, _title(picture), "title"),
        _moved(top.lines, GAP, 44),
        _line("bus", GAP, bus, width - GAP, bus),
        _line("wire", GAP + 60, 44 + top.height, GAP + 60, bus),
        _text(width - GAP - 6 * CHAR, bus - 8, "switch", "dim"),
    ]
    left = float(GAP)
    for column in columns:
        lines += [_line("wire", left + 60, bus, left + 60, bus + GAP), _moved(column.lines, left, bus + GAP)]
        left += column.width + GAP
    height = bus + 2 * GAP + max((column.height for column in columns), default=0)
    return _document(_title(picture), width, height, lines)


def _title(picture: Picture) -> str:
    pods = sum(len(node.pods) for node in picture.nodes)
    return f"{picture.title}: {len(picture.nodes)} nodes, {pods} pods, kube-proxy mode {picture.mode}"


def _document(title: str, width: float, height: float, lines: Iterable[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label={quoteattr(title)} {size}>'
    return "\n".join((head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *lines, "</svg>")) + "\n"


def _top(picture: Picture) -> Drawn:
    """The outside world above the router."""
    clients = [_box((box.name, *box.ports), "box") for box in picture.outside]
    vips = [f"{address} -> {node}" for address, node in picture.vips]
    router = _box(("router", *picture.router, *vips), "box")
    lines: list[str] = []
    left, tallest = 0.0, max((client.height for client in clients), default=0.0)
    for client in clients:
        lines += [_moved(client.lines, left, tallest - client.height)]
        lines += [
            f'<path class="wire" d="M{left + 60:.1f} {tallest:.1f} V{tallest + GAP / 2:.1f} H60 V{tallest + GAP}"/>'
        ]
        left += client.width + GAP
    lines += [_moved(router.lines, 0, tallest + GAP)]
    return Drawn(tuple(lines), max(left, router.width), tallest + GAP + router.height)


def _node(node: NodeBox) -> Drawn:
    """A node: its address, its bridge, and below it the pods, each on a wire."""
    heads = (f"node/{node.name}", *(f"eth0 {address}" for address in node.addresses))
    bridge = (f"{node.bridge} {' '.join(node.bridge_addresses)}".strip(),) if node.bridge else ()
    pods = [_box(_pod_lines(pod), _pod_class(pod)) for pod in node.pods]
    width = max([_width((*heads, *bridge)), *(pod.width + 40 for pod in pods)]) + 2 * PAD
    pods = [_stretched(pod, width - 40 - 2 * PAD) for pod in pods]
    top = PAD + LINE * len(heads) + 8
    lines = [*_texts(heads, PAD, PAD)]
    if bridge:
        lines += [_line("bus", PAD, top + 4, width - PAD, top + 4), _text(PAD, top + LINE + 4, bridge[0], "dim")]
    below: float = top + LINE + 14
    for pod, box in zip(node.pods, pods, strict=True):
        dashed = ' stroke-dasharray="3 3"' if pod.role == "hostNetwork" else ""
        across = below + box.height / 2
        lines += [f'<path class="wire"{dashed} d="M{PAD + 8} {top + LINE + 10} V{across:.1f} H{PAD + 30}"/>']
        lines += [_moved(box.lines, PAD + 30, below)]
        below += box.height + 8
    frame = f'<rect class="node" rx="8" width="{width:.1f}" height="{below + 4:.1f}"/>'
    return Drawn((frame, *lines), width, below + 4)


def _pod_lines(pod: PodBox) -> tuple[str, ...]:
    marks = " ".join(f"({mark})" for mark in (pod.role, pod.state) if mark)
    rest = " ".join((*pod.ports, marks)).strip()
    return tuple(line for line in (pod.name, *pod.addresses, rest) if line)


def _pod_class(pod: PodBox) -> str:
    return " ".join(
        word for word in ("pod", pod.role if pod.role in ("dns", "ingress") else "", "off" * bool(pod.state)) if word
    )


def _box(lines: tuple[str, ...], style: str) -> Drawn:
    width, height = _width(lines), 2 * 6 + LINE * len(lines)
    frame = f'<rect class="{style}" rx="5" width="{width:.1f}" height="{height}"/>'
    return Drawn((frame, *_texts(lines, PAD, 6)), width, height)


def _stretched(box: Drawn, width: float) -> Drawn:
    frame = box.lines[0].replace(f'width="{box.width:.1f}"', f'width="{width:.1f}"', 1)
    return Drawn((frame, *box.lines[1:]), width, box.height)


def _texts(lines: Iterable[str], left: float, top: float) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield _text(left, top + LINE * number + 12, line, "head" if number == 0 else "dim")


def _width(lines: Iterable[str]) -> float:
    return max((len(line) for line in lines), default=0) * CHAR + 2 * PAD


def _text(left: float, top: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{left:.1f}" y="{top:.1f}">{escape(text)}</text>'


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _moved(lines: Iterable[str], left: float, top: float) -> str:
    return "\n".join((f'<g transform="translate({left:.1f} {top:.1f})">', *lines, "</g>"))
