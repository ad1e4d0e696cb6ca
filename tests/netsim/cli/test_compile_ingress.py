"""`netsim compile --ingress`: nginx.conf on stdout or as files."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from netsim.cli.main import run

SHOP = str(Path(__file__).parents[3] / "topologies" / "shop")
SECOND = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: internal}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: admin, namespace: shop}
spec:
  ingressClassName: internal
  tls: [{hosts: [admin.example.com], secretName: admin-tls}]
  rules:
  - host: admin.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
"""

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def two_classes(tmp_path: Path) -> str:
    folder = tmp_path / "input"
    shutil.copytree(SHOP, folder)
    (folder / "second.yaml").write_text(SECOND)
    return str(folder)


def test_the_only_class_is_printed(capsys: Capture) -> None:
    assert run(["compile", "-q", "-f", SHOP, "--ingress"]) == 0
    text = capsys.readouterr().out
    assert "shop.example.com" in text
    assert "server {" in text


def test_one_of_two_classes_is_chosen(two_classes: str, capsys: Capture) -> None:
    assert run(["compile", "-q", "-f", two_classes, "--ingress", "--class", "internal"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# Ingress class internal")
    assert "admin.example.com" in text


def test_files_of_every_class_are_written(two_classes: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert run(["compile", "-q", "-f", two_classes, "--ingress", "--out-dir", str(target)]) == 0
    assert "shop.example.com" in (target / "ingress" / "nginx" / "nginx.conf").read_text()
    assert "admin.example.com" in (target / "ingress" / "internal" / "nginx.conf").read_text()
    keys = list((target / "ingress" / "internal").rglob("*.key"))
    assert keys
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param([], "2 classes (internal, nginx): choose one", id="two classes"),
        pytest.param(["--class", "none"], "'none' names no IngressClass", id="no such class"),
        pytest.param(["-o", "json"], "--ingress prints nginx.conf only", id="no JSON"),
    ],
)
def test_bad_usage_is_exit_2(words: list[str], text: str, two_classes: str, capsys: Capture) -> None:
    assert run(["compile", "-q", "-f", two_classes, "--ingress", *words]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""
