"""`netsim validate`: text, JSON, exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netsim.cli.main import run

SEED = Path(__file__).parents[1] / "validate" / "seed"
GOOD = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
BAD = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80, protocol: tcp}]}\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_valid_input_is_exit_0(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "-f", "good.yaml"]) == 0
    assert capsys.readouterr().out == "1 object: 0 errors, 0 warnings\n"


def test_invalid_input_is_exit_1_with_a_line_a_problem(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "-f", "bad.yaml"]) == 1
    assert capsys.readouterr().out == (
        "error: bad.yaml:4:37: Service default/web: spec.ports[0].protocol: "
        'Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP" (did you mean "TCP"?)\n'
        "1 object: 1 error, 0 warnings\n"
    )


def test_json_has_the_documented_keys_in_order(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "-f", "bad.yaml", "-o", "json", "-n", "shop"]) == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(answer) == ["schema", "valid", "errors", "warnings"]
    assert (answer["schema"], answer["valid"], answer["warnings"]) == ("netsim.validate/v1", False, [])
    [error] = answer["errors"]
    assert list(error.items()) == [
        ("file", "bad.yaml"),
        ("line", 4),
        ("column", 37),
        ("kind", "Service"),
        ("namespace", "shop"),
        ("name", "web"),
        ("field", "spec.ports[0].protocol"),
        ("reason", "FieldValueNotSupported"),
        ("message", 'Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'),
        ("hint", 'did you mean "TCP"?'),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("a: b: c", "BadYAML", id="no-yaml"),
        pytest.param("metadata: {name: a}", "NoKindMatch", id="no-kind"),
        pytest.param("apiVersion: v1\nkind: Servise\nmetadata: {name: a}", "NoKindMatch", id="unknown-kind"),
        pytest.param(GOOD.replace("80", "'80'"), "BadType", id="wrong-type"),
        pytest.param(GOOD.replace("ports", "prots"), "UnknownField", id="unknown-field"),
        pytest.param(GOOD + "---\n" + GOOD, "AlreadyExists", id="twice"),
        pytest.param("just text", "BadType", id="no-object"),
    ],
)
def test_what_cannot_be_read_is_an_answer_too(
    files: Path, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "f.yaml").write_text(text)
    assert run(["validate", "-f", "f.yaml", "-o", "json"]) == 1
    assert [error["reason"] for error in json.loads(capsys.readouterr().out)["errors"]] == [reason]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["-f", "absent.yaml"], 'the path "absent.yaml" does not exist', id="no-such-file"),
        pytest.param([], "no input: name the manifests with -f", id="no-file"),
        pytest.param(["--nonsense"], "No such option", id="unknown-option"),
        pytest.param(["-f", "good.yaml", "-o", "xml"], "xml", id="unknown-output"),
    ],
)
def test_usage_and_unreadable_files_are_exit_2(
    files: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_strict_makes_warnings_count(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "f.yaml").write_text(GOOD.replace("ports", "externalName: x, ports"))
    assert run(["validate", "-f", "f.yaml"]) == 0
    assert run(["validate", "-f", "f.yaml", "--strict"]) == 1
    assert run(["validate", "-f", "f.yaml", "-q"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("warning: f.yaml:4:22: Service default/web: spec.externalName is ignored when spec.type")
    assert out[-1] == "1 object: 0 errors, 1 warning"


def test_standard_input_is_judged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Input:
        buffer = io.BytesIO(BAD.encode())

    monkeypatch.setattr(sys, "stdin", Input())
    assert run(["validate", "-f", "-"]) == 1
    assert capsys.readouterr().out.startswith("error: <stdin>:4:37: ")


def test_the_installed_command_says_the_same_byte_for_byte() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-m", "netsim", "validate", "-f", str(SEED), "-o", "json"],
            capture_output=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert runs[0].returncode == 1
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stderr == b""
