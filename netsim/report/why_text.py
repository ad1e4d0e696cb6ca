"""`netsim why` as text of at most 30 lines, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netsim.errors import printable
from netsim.notes import Note
from netsim.report.why import Diagnosis, Fix, Place, PodLine, PortLine

MOST_LINES = 30
MOST_PODS = 8
MOST_FIXES = 4
MARKS = {True: "ok", False: "no"}


def text(diagnosis: Diagnosis) -> str:
    """Return the answer: the verdict, the questions in order, the first thing to fix."""
    lines = list(_lines(diagnosis))
    if len(lines) > MOST_LINES:
        fixes = list(_fix_lines(diagnosis.fixes))
        lines = [*lines[: MOST_LINES - len(fixes) - 1], "  … (the rest with -o json)", *fixes]
    return "".join(f"{printable(line)}\n" for line in lines)


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"svc/{diagnosis.namespace}/{diagnosis.name}: {diagnosis.verdict}: {diagnosis.summary}"
    service = diagnosis.service
    if service is not None:
        yield _line("exists", f"{service.type} {_addresses(diagnosis)}", diagnosis.place)
        selector = ",".join(f"{k}={v}" for k, v in (service.selector or {}).items()) or "none"
        yield _line("selector", selector, diagnosis.selector_place)
        yield from _pod_lines(diagnosis.pods)
        yield from (_port_line(port) for port in diagnosis.ports[:4])
        if len(diagnosis.ports) > 4:
            yield _line("", f"and {len(diagnosis.ports) - 4} more ports", None)
        yield from _node_lines(diagnosis)
        for way in diagnosis.reach:
            via = f" -> {way.via}" if way.via else ""
            yield _line("reach", f"{MARKS[way.works]}  {way.client}{via}{': ' + way.text if way.text else ''}", None)
    yield from _fix_lines(diagnosis.fixes)


def _line(label: str, what: str, place: Place | None) -> str:
    return f"  {label:<9} {what}" + (f"   [{place}]" if place else "")


def _addresses(diagnosis: Diagnosis) -> str:
    service = diagnosis.service
    assert service is not None
    return ", ".join(service.cluster_ips) or service.external_name


def _pod_lines(pods: Sequence[PodLine]) -> Iterator[str]:
    ready = [line for line in pods if line.endpoint]
    others = [line for line in pods if not line.endpoint]
    if pods:
        yield _line("pods", f"{len(pods)} match, {len(ready)} are ready endpoints", None)
    shown = (*others, *ready)[:MOST_PODS]
    for line in shown:
        what = line.why or f"{', '.join(line.pod.ips)} on {line.pod.node_name}"
        yield _line("", f"{MARKS[line.endpoint]}  {line.pod.name}: {what}", line.place)
    if len(pods) > len(shown):
        yield _line("", f"and {len(pods) - len(shown)} more", None)


def _port_line(line: PortLine) -> str:
    port = line.port
    name = f"{port.name} " if port.name else ""
    what = f"{name}{port.port}/{port.protocol} -> {port.target_port}: "
    state = f"{line.ready} endpoints" if line.ready != 1 else "1 endpoint"
    return _line("port", what + (line.problem or state), line.place)


def _node_lines(diagnosis: Diagnosis) -> Iterator[str]:
    having = [f"{node} ({count})" for node, count in diagnosis.local if count]
    without = [node for node, count in diagnosis.local if not count]
    if diagnosis.local and diagnosis.service and diagnosis.service.type != "ExternalName":
        text_ = f"endpoints on {_few(having)}" + (f"; none on {_few(without)}" if without else "")
        yield _line("nodes", text_, None)


def _few(names: Sequence[str], most: int = 6) -> str:
    return (", ".join(names[:most]) or "no node") + (f" and {len(names) - most} more" if len(names) > most else "")


def _fix_lines(fixes: Sequence[Fix]) -> Iterator[str]:
    for index, fix in enumerate(fixes[:MOST_FIXES]):
        place = f"   [{fix.place}]" if fix.place else ""
        yield f"{'fix first' if index == 0 else 'then'}: {fix.text} - {fix.advice}{place} ({fix.code})"
    if len(fixes) > MOST_FIXES:
        yield f"and {len(fixes) - MOST_FIXES} more findings (-o json)"


def as_json(diagnosis: Diagnosis, notes: Sequence[Note] = ()) -> dict[str, Any]:
    """Return the contract's object for `-o json`."""
    service = diagnosis.service
    return {
        "schema": "netsim.why/v1",
        "id": None,
        "service": {"namespace": diagnosis.namespace, "name": diagnosis.name, **_where(diagnosis.place)},
        "exists": service is not None,
        "verdict": diagnosis.verdict,
        "summary": diagnosis.summary,
        "type": service.type if service else None,
        "clusterIPs": list(service.cluster_ips) if service else [],
        "selector": dict(service.selector) if service and service.selector else None,
        "pods": [_pod_json(line) for line in diagnosis.pods],
        "ports": [_port_json(line) for line in diagnosis.ports],
        "nodes": [{"node": node, "endpoints": count} for node, count in diagnosis.local],
        "reach": [
            {"from": way.client, "to": way.via or None, "works": way.works, "nodes": list(way.nodes), "text": way.text}
            for way in diagnosis.reach
        ],
        "fixes": [_fix_json(fix) for fix in diagnosis.fixes],
        "notes": [note.as_json() for note in notes],
    }


def _where(place: Place | None) -> Mapping[str, Any]:
    return {"file": place.file if place else None, "line": place.line if place else None}


def _pod_json(line: PodLine) -> dict[str, Any]:
    pod = line.pod
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "node": pod.node_name or None,
        "ips": list(pod.ips),
        "endpoint": line.endpoint,
        "why": line.why,
        **_where(line.place),
    }


def _port_json(line: PortLine) -> dict[str, Any]:
    port = line.port
    return {
        "name": port.name,
        "port": port.port,
        "protocol": port.protocol,
        "targetPort": port.target_port,
        "endpoints": line.ready,
        "problem": line.problem,
        **_where(line.place),
    }


def _fix_json(fix: Fix) -> dict[str, Any]:
    severity = "error" if fix.bad else "warning"
    return {"code": fix.code, "text": fix.text, "advice": fix.advice, "severity": severity, **_where(fix.place)}
