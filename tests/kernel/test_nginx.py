"""A stock nginx with the compiled configuration answers every recorded ingress-nginx request as recorded."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from netsim.l7 import compile_ingress
from netsim.l7.conf.build import Target
from tests.netsim.l7.recorded import FILES, cluster_of, options_of, read

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

NGINX_FILES = [path for path in FILES if "ingress-nginx" in read(path)["dialects"]]
TARGET = Target(http="192.0.2.1:80", https="192.0.2.1:443")
HERE = Path(__file__).parent


def write(directory: Path, recorded: dict[str, Any]) -> None:
    """Write the configuration of the recorded file's one controller."""
    compiled = compile_ingress(
        cluster_of(recorded["manifests"]), options=options_of(recorded, "ingress-nginx"), target=TARGET
    )
    files = next(iter(compiled.values())).files
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def steps(case: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any], int]]:
    if "sequence" in case:
        return [(step["request"], step["expect"], step.get("repeat", 1)) for step in case["sequence"]]
    expect = (case.get("overrides") or {}).get("ingress-nginx", case["expect"])
    many = max(
        case.get("repeat", 1), 300 if "backends" in expect else 40 if len(expect.get("endpoints", ())) > 1 else 1
    )
    return [(case["request"], expect, many)]


def cases_of(path: Path) -> list[dict[str, Any]]:
    recorded = read(path)
    return [c for c in recorded.get("cases") or () if "ingress-nginx" in c.get("dialects", recorded["dialects"])]


def wire(request: dict[str, Any], cookies: str = "") -> dict[str, Any]:
    """Return the request as bytes, with where to send it from and to."""
    host, query = request["host"], request.get("query")
    uri = request["path"] + (f"?{query}" if query is not None else "")
    headers = {"Host": host, **request.get("headers", {})} if host else dict(request.get("headers", {}))
    jar = "; ".join([*(f"{k}={v}" for k, v in request.get("cookies", {}).items()), *([cookies] if cookies else [])])
    headers.update({"Cookie": jar} if jar else {})
    size = request.get("bodyBytes", 0)
    headers.update({"Content-Length": str(size)} if size else {})
    headers["Connection"] = "close"
    version = "HTTP/1.1" if host else "HTTP/1.0"
    text = f"{request['method']} {uri} {version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    return {
        "bytes": text, "bodyBytes": size, "client": request.get("client", "192.0.2.10"), "port": request["port"],
        "tls": request["scheme"] == "https", "sni": request.get("sni", host.partition(":")[0]),
    }  # fmt: skip


def services_by_address(recorded: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Which Service an address belongs to, from the recorded slices, ClusterIPs and DNS."""
    found: dict[str, tuple[str, str]] = {}
    for item in recorded["manifests"]:
        metadata = item["metadata"]
        if item["kind"] == "EndpointSlice":
            name = metadata["labels"]["kubernetes.io/service-name"]
            found.update({a: (metadata["namespace"], name) for e in item["endpoints"] for a in e["addresses"]})
        elif item["kind"] == "Service":
            spec = item["spec"]
            address = (recorded.get("dns") or {}).get(spec.get("externalName"), spec.get("clusterIP"))
            found[str(address)] = (metadata["namespace"], metadata["name"])
    return found


def backend_ports(recorded: dict[str, Any]) -> list[int]:
    ports: set[int] = set()
    for item in recorded["manifests"]:
        if item["kind"] == "EndpointSlice":
            ports.update(port["port"] for port in item["ports"])
        elif item["kind"] == "Service":
            for port in item["spec"].get("ports") or ():
                ports.update(p for p in (port["port"], port.get("targetPort")) if isinstance(p, int))
        elif item["kind"] == "Ingress":
            text = json.dumps(item)
            ports.update({7070} if "7070" in text else ())
    return sorted(ports - {80, 443})


@cache
def answers_of(path: Path) -> dict[str, list[list[dict[str, Any]]]]:
    """All answers of a file's cases, step by step, from one run of nginx (two with cookies of the first)."""
    recorded, cases = read(path), cases_of(path)
    with TemporaryDirectory(prefix="netsim-nginx-") as folder:
        Path(folder).chmod(0o755)  # nginx' workers are not root and buffer bodies below it
        write(Path(folder), recorded)
        certificates = fingerprints(Path(folder))
        plain = [wire(request) for case in cases for request, _, many in steps(case) for _ in range(many)]
        answers = iter(run(folder, recorded, plain))
        grouped = {case["id"]: [[next(answers) for _ in range(many)] for _, _, many in steps(case)] for case in cases}
        for case in cases:
            if any(step.get("keepCookies") for step in case.get("sequence", ())):
                cookie = grouped[case["id"]][0][0]["headers"]["set-cookie"].partition(";")[0]
                kept = [wire(request, cookie) for request, _, many in steps(case)[1:] for _ in range(many)]
                grouped[case["id"]][1:] = [run(folder, recorded, kept)]
    for groups in grouped.values():
        for group in groups:
            for answer in group:
                answer["secret"] = certificates.get(answer["certificate"], "")
    return grouped


def fingerprints(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in (folder / "certs").glob("*.crt"):
        der = ssl.PEM_cert_to_DER_cert(path.read_text())
        found[hashlib.sha256(der).hexdigest()] = path.stem.replace("_", "/")
    return found


def run(folder: str, recorded: dict[str, Any], requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    task = json.dumps({"directory": folder, "ports": backend_ports(recorded), "requests": requests})
    command = ["unshare", "--net", sys.executable, str(HERE / "nginx_lab.py")]
    done = subprocess.run(command, input=task, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def differences(expect: dict[str, Any], got: list[dict[str, Any]], recorded: dict[str, Any]) -> Iterator[str]:
    owners = services_by_address(recorded)
    seen = [answer["seen"] for answer in got if answer["seen"]]
    used = Counter(owners.get(one["endpoint"].rpartition(":")[0], ("?", one["endpoint"])) for one in seen)
    for answer in got:
        if answer["status"] != expect["status"]:
            yield f"status {answer['status']} instead of {expect['status']}"
        if "location" in expect and answer["headers"].get("location") != expect["location"]:
            yield f"location {answer['headers'].get('location')}"
        if "tls" in expect and answer["secret"] != expect["tls"]["secret"]:
            yield f"certificate {answer['secret']}"
        yield from seen_differences(expect, answer["seen"])
    if "backend" in expect:
        wanted = (expect["backend"]["namespace"], expect["backend"]["service"])
        if set(used) != {wanted} or used[wanted] != len(got):
            yield f"backends {used} instead of {wanted}"
    for one in expect.get("backends", ()):
        share = used[one["namespace"], one["service"]] / max(len(got), 1)
        part = one["weight"] / sum(other["weight"] for other in expect["backends"])
        if abs(share - part) > 0.15:
            yield f"{one} got {share}"
    if "endpoints" in expect and {one["endpoint"] for one in seen} != set(expect["endpoints"]):
        yield f"endpoints {sorted({one['endpoint'] for one in seen})}"
    if expect.get("sameEndpointAsPrevious") and len({one["endpoint"] for one in seen}) != 1:
        yield "more than one endpoint"


def seen_differences(expect: dict[str, Any], seen: dict[str, Any] | None) -> Iterator[str]:
    if "upstreamPath" in expect and (seen or {}).get("path") != expect["upstreamPath"]:
        yield f"upstream path {(seen or {}).get('path')}"
    if "upstreamHost" in expect and (seen or {"headers": {}})["headers"].get("host") != expect["upstreamHost"]:
        yield f"upstream host in {seen}"
    for name, value in expect.get("upstreamHeaders", {}).items():
        if (seen or {"headers": {}})["headers"].get(name.lower()) != value:
            yield f"upstream header {name} in {seen}"


CASES = [pytest.param(path, case, id=case["id"]) for path in NGINX_FILES for case in cases_of(path)]


@pytest.mark.parametrize(("path", "case"), CASES)
def test_a_real_nginx_answers_as_recorded(path: Path, case: dict[str, Any]) -> None:
    recorded = read(path)
    for (_, expect, _), got in zip(steps(case), answers_of(path)[case["id"]], strict=True):
        assert list(differences(expect, got, recorded)) == []


@pytest.mark.parametrize("path", NGINX_FILES, ids=lambda path: path.stem)
def test_nginx_accepts_the_configuration(path: Path, tmp_path: Path) -> None:
    write(tmp_path, read(path))
    command = ["nginx", "-t", "-q", "-p", str(tmp_path), "-c", "nginx.conf"]
    listening = (tmp_path / "nginx.conf").read_text().replace("192.0.2.1:", "127.0.0.1:")
    (tmp_path / "nginx.conf").write_text(listening)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
