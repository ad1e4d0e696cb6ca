"""Loading: files, directories, standard input, Lists, several documents, and who is to blame for what."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from netsim.manifests.load import load
from netsim.manifests.sources import UNREADABLE

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n"


def names(*paths: str, **options: Any) -> list[str]:
    loaded = load(paths, **options)
    assert loaded.problems == ()
    return [manifest.name for manifest in loaded.objects]


def test_a_directory_means_its_manifests_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "d.txt", "sub/e.yaml"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(NAMESPACE % file.stem)
    assert names(str(tmp_path)) == ["a", "b", "c"]
    assert names(str(tmp_path), recursive=True) == ["a", "b", "c", "e"]


@pytest.mark.parametrize("stdin", [io.StringIO(NAMESPACE % "a"), io.BytesIO((NAMESPACE % "a").encode())])
def test_a_dash_is_standard_input(stdin: Any) -> None:
    loaded = load(["-"], stdin=stdin)
    assert [str(manifest.where("metadata", "name")) for manifest in loaded.objects] == ["<stdin>:3:18"]


def test_documents_of_one_file_keep_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("---\n" + NAMESPACE % "a" + "--- # next\n" + NAMESPACE % "b" + "---\n# nothing\n---\n")
    loaded = load([str(file)])
    assert [manifest.where("kind").line for manifest in loaded.objects] == [3, 7]


ITEM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"apiVersion": "v1", "kind": "List", "items": [ITEM]}, id="List"),
        pytest.param({"apiVersion": "v1", "kind": "NamespaceList", "items": [ITEM]}, id="typed-list"),
        pytest.param(
            {"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "a"}}]}, id="untyped-items"
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [ITEM]}]},
            id="list-of-lists",
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_lists_are_unpacked(document: dict[str, Any], indent: int | None, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"f.{suffix}"
    # As YAML the text starts with a comment, so that it is not taken for JSON.
    text = ("# YAML\n" if suffix == "yaml" else "") + json.dumps(document, indent=indent)
    file.write_text(text)
    loaded = load([str(file)])
    [manifest] = loaded.objects
    assert (manifest.api_version, manifest.kind, manifest.name) == ("v1", "Namespace", "a")
    where = manifest.where("metadata", "name")
    assert text.splitlines()[where.line - 1][where.column - 1 :].startswith('"a"')


def test_an_empty_list_holds_nothing_and_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "f.json"
    file.write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
    assert load([str(file)]).problems == ()


def test_a_flow_style_mapping_is_yaml_although_it_starts_like_json(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("{apiVersion: v1, kind: Namespace, metadata: {name: a}}")
    assert names(str(file)) == ["a"]


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    loaded = load([str(tmp_path / "absent.yaml"), "with\0nul"])
    assert [problem.reason for problem in loaded.problems] == [UNREADABLE, UNREADABLE]
    assert str(loaded.problems[0]).endswith(f'the path "{tmp_path}/absent.yaml" does not exist')


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("")
    file.chmod(0)
    assert load([str(file)]).problems[0].reason == UNREADABLE


def test_custom_resources_are_counted_and_valid(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    thing = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: %s}\nspec: {any: [thing]}\n---\n"
    file.write_text(thing % "a" + thing % "b")
    loaded = load([str(file)])
    assert loaded.problems == ()
    assert [str(note) for note in loaded.notes] == ["CUSTOM_RESOURCES: not modelled: 2 Thing.example.com"]


def test_a_definition_in_the_input_makes_its_kind_known(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: t.snapshot.k8s.io}\n"
        "spec: {group: snapshot.k8s.io, names: {kind: Thing, plural: things}, scope: Namespaced, versions: []}\n"
        "---\napiVersion: snapshot.k8s.io/v1\nkind: Thing\nmetadata: {name: a}\n"
    )
    assert load([str(file)]).problems == ()


def test_many_objects_of_a_kind_are_checked_like_few(tmp_path: Path) -> None:
    """The checker in Rust that large inputs get says the same as the walk that explains."""
    good = [{**ITEM, "metadata": {"name": f"n{i}"}} for i in range(100)]
    bad = [
        {**ITEM, "metadata": {"name": "x", "labels": {"a": 1}}},
        {**ITEM, "specc": {}},
        {**ITEM, "metadata": {"name": "x", "generation": 2**70}},
        {**ITEM, "metadata": {"name": "x", "creationTimestamp": "now"}},
        {**ITEM, "spec": []},
    ]
    file, few = tmp_path / "many.json", tmp_path / "few.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": good + bad}))
    few.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": bad}))
    many = [(problem.field, problem.message) for problem in load([str(file)]).problems]
    assert many == [(problem.field, problem.message) for problem in load([str(few)]).problems]
    assert len(many) == len(bad)


def test_an_integral_float_is_an_integer(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 8e1}]}\n")
    [manifest] = load([str(file)]).objects
    assert manifest.data["spec"]["ports"] == [{"port": 80}]
    assert type(manifest.data["spec"]["ports"][0]["port"]) is int


def test_the_letter_y_is_text_for_every_verb_but_validate(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: y, z: N, yes: true}}\n")
    loaded = load([str(file)])
    assert [problem.severity for problem in loaded.problems] == ["warning", "warning", "error"]
    strict = load([str(file)], keep_bad=True)
    assert [problem.severity for problem in strict.problems] == ["error"] * 3
    assert strict.objects[0].data["metadata"]["labels"] == {"x": True, "z": False, "true": True}
