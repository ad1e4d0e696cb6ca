"""A lab's picture as text for a terminal, and as DOT for Graphviz. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netsim.lab.picture import NodeBox, Picture, PodBox


def as_text(picture: Picture) -> str:
    """Return a tree: outside, router, switch, nodes, bridges, pods."""
    return "".join(line.rstrip() + "\n" for line in _text_lines(picture))


def _text_lines(picture: Picture) -> Iterator[str]:
    pods = sum(len(node.pods) for node in picture.nodes)
    yield f"{picture.title}: {len(picture.nodes)} nodes, {pods} pods, kube-proxy mode {picture.mode}"
    yield from (f"{box.line}" for box in picture.outside)
    yield "│"
    yield f"router  {' '.join(picture.router)}"
    yield from (f"│ {address} -> {node}" for address, node in picture.vips)
    yield "│"
    yield "switch"
    last = len(picture.nodes) - 1
    for number, node in enumerate(picture.nodes):
        yield from _branch(_node_lines(node), last=number == last)


def _node_lines(node: NodeBox) -> Iterator[str]:
    yield f"node/{node.name}  {' '.join(node.addresses)}"
    yield from _branch(_bridge_lines(node), last=True)


def _bridge_lines(node: NodeBox) -> Iterator[str]:
    yield f"{node.bridge}  {' '.join(node.bridge_addresses)}"
    lines = _columns(node.pods)
    for number, line in enumerate(lines):
        yield from _branch((line,), last=number == len(lines) - 1)


def _columns(pods: Sequence[PodBox]) -> list[str]:
    """Return one line a pod, its name and addresses padded to common widths."""
    names = max((len(pod.name) for pod in pods), default=0)
    addresses = max((len(" ".join(pod.addresses)) for pod in pods), default=0)
    return [
        f"{pod.name:{names}}  {' '.join(pod.addresses):{addresses}}  {_rest(pod)}".rstrip() for pod in pods
    ]  # fmt: skip


def _rest(pod: PodBox) -> str:
    return " ".join((*pod.ports, *(f"({mark})" for mark in (pod.role, pod.state) if mark)))


def _branch(lines: Iterable[str], *, last: bool) -> Iterator[str]:
    first, then = ("└─ ", "   ") if last else ("├─ ", "│  ")
    for number, line in enumerate(lines):
        yield (first if number == 0 else then) + line


def as_dot(picture: Picture) -> str:
    """Return a Graphviz graph: one cluster a node, an edge a cable."""
    return "\n".join(_dot_lines(picture)) + "\n"


def _dot_lines(picture: Picture) -> Iterator[str]:
    yield f"graph {_quoted(picture.title)} {{"
    yield f"  label={_quoted(f'{picture.title} (kube-proxy mode {picture.mode})')}; labelloc=t; compound=true;"
    yield '  node [shape=box, fontname="monospace", fontsize=10]; edge [color="#888888"];'
    yield f"  router [label={_label('router', picture.router)}];"
    yield "  switch [shape=plain];"
    yield "  router -- switch;"
    for box in picture.outside:
        yield f"  {_quoted(box.name)} [label={_pod_label(box)}];"
        yield f"  {_quoted(box.name)} -- router;"
    for number, node in enumerate(picture.nodes):
        yield from _dot_node(number, node)
    yield "}"


def _dot_node(number: int, node: NodeBox) -> Iterator[str]:
    bridge = _quoted(f"{node.name} {node.bridge}")
    yield f"  subgraph cluster_{number} {{"
    yield f"    label={_quoted(f'node/{node.name}')}; style=rounded;"
    yield f"    {_quoted(node.name)} [label={_label('eth0', node.addresses)}];"
    yield f"    {bridge} [label={_label(node.bridge, node.bridge_addresses)}];"
    yield f"    {_quoted(node.name)} -- {bridge} [style=dotted];"
    for pod in node.pods:
        yield f"    {_quoted(pod.name)} [label={_pod_label(pod)}{', style=dashed' if pod.state else ''}];"
        yield f"    {_quoted(pod.name)} -- {_quoted(node.name) if pod.role == 'hostNetwork' else bridge};"
    yield "  }"
    yield f"  switch -- {_quoted(node.name)};"


def _pod_label(pod: PodBox) -> str:
    marks = tuple(mark for mark in (pod.role, pod.state) if mark)
    return _label(pod.name, (*pod.addresses, " ".join(pod.ports), *marks))


def _label(title: str, lines: Iterable[str]) -> str:
    return _quoted("\n".join((title, *(line for line in lines if line))))


def _quoted(text: str) -> str:
    """Return a DOT string: quotes and backslashes escaped, line breaks as \\n."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
