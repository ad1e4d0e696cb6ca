"""Recorded validation of Ingress and Gateway API objects: what `netsim validate` says of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from netsim.cli.main import run
from tests.netsim.l7.recorded import FILES, read

FEATURES = ("validation", "gw_validation")
# kube-apiserver v1.36 names another rule for Service names than the source that this check was read from: the recorded
# answer of the real program (conformance/api) decides.
OTHER_WORDS = {"ing-validation/service-name-bad": "RFC 1123 label"}


def checks() -> Iterator[Any]:
    for path in FILES:
        for check in read(path).get("checks") or ():
            if check["feature"] in FEATURES:
                yield pytest.param(check, id=check["id"])


@pytest.mark.parametrize("check", list(checks()))
def test_a_recorded_object_is_judged(check: dict[str, Any], tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "object.json"
    path.write_bytes(orjson.dumps(check["object"]))
    expect = check["expect"]
    assert run(["validate", "-q", "-f", str(path), "-o", "json"]) == int(not expect["valid"])
    answer = orjson.loads(capfd.readouterr().out)
    assert answer["valid"] == expect["valid"]
    for wanted in expect.get("errors") or ():
        detail = OTHER_WORDS.get(check["id"], wanted["detail"])
        assert [
            error
            for error in answer["errors"]
            if detail.lower() in error["message"].lower() and wanted.get("field", error["field"]) == error["field"]
        ]
