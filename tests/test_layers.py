"""Imports point one way, and the size targets of the style guide hold."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("netsim/**/*.py"), *ROOT.glob("iptables_gen/**/*.py")])

LAYERS: dict[str, int] = {
    "errors": 0, "notes": 0, "manifests": 1, "cluster": 2, "packet": 2, "validate": 2, "hosts": 3,
    "trace": 4, "dns": 4, "l7": 4, "journey": 5, "diff": 5, "lab": 5, "report": 5, "cli": 6,
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def area(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "netsim" and len(parts) > 1 else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    here = module_of(path)
    for module in imports(path):
        if here.startswith("iptables_gen"):
            top = module.split(".")[0]
            assert top in sys.stdlib_module_names or top == "iptables_gen", f"{here} imports {module}"
        elif area(here) in LAYERS and area(module) in LAYERS:
            assert LAYERS[area(module)] <= LAYERS[area(here)], f"{here} imports {module}"


@pytest.mark.parametrize("path", [p for p in SOURCES if "trace" in p.parts], ids=module_of)
def test_the_trace_engine_knows_no_rule_language(path: Path) -> None:
    for module in imports(path):
        assert not module.startswith(tuple(f"iptables_gen.{name}" for name in ("xtables", "nft", "ipvs")))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{module_of(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_short() -> None:
    lengths = dict(pair for path in SOURCES for pair in functions(path))
    assert {name: n for name, n in lengths.items() if n > 60} == {}
    assert statistics.median(lengths.values()) <= 8


def test_files_are_short() -> None:
    assert {module_of(p): n for p in SOURCES if (n := p.read_text().count("\n")) > 500} == {}
