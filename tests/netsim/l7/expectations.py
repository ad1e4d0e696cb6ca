"""How a recorded expectation of conformance/l7 is compared with a decision's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

Json = Mapping[str, Any]


def differences(expect: Json, answer: Json, *, repeated: bool = False) -> Iterator[str]:
    """Yield what in the answer is not as expected."""
    if "anyOf" in expect:
        tried = [list(differences(one, answer)) for one in expect["anyOf"]]
        if all(tried):
            yield f"none of anyOf: {tried}"
        return
    for key, want in expect.items():
        check = _CHECKS.get(key)
        if check is None:
            yield f"no comparison for expectation {key}"
        else:
            yield from (f"{key}: {text}" for text in check(want, answer, repeated))


def _status(want: Any, answer: Json, _: bool) -> Iterator[str]:
    if answer["status"] != want:
        yield f"{answer['status']} instead of {want}"


def _status_in(want: Any, answer: Json, _: bool) -> Iterator[str]:
    if answer["status"] not in want:
        yield f"{answer['status']} is none of {want}"


def _same_backend(want: Json, got: Json) -> bool:
    ports = (got["port"], got["servicePort"])
    return (got["namespace"], got["service"]) == (want["namespace"], want["service"]) and want["port"] in ports


def _backend(want: Any, answer: Json, _: bool) -> Iterator[str]:
    got = answer["backends"]
    if len(got) != 1 or not _same_backend(want, got[0]) or got[0]["weight"] != "1":
        yield f"{got} instead of {want}"


def _backends(want: Any, answer: Json, _: bool) -> Iterator[str]:
    total = sum(one["weight"] for one in want)
    used = [one for one in want if one["weight"]]
    got = answer["backends"]
    for one in used:
        weight = Fraction(one["weight"], total)
        if not any(_same_backend(one, share) and Fraction(share["weight"]) == weight for share in got):
            yield f"{one} with weight {weight} is not in {got}"
    if len(got) != len(used):
        yield f"{len(got)} backends instead of {len(used)}"


def _outcomes(want: Any, answer: Json, _: bool) -> Iterator[str]:
    total = sum(one["weight"] for one in want)
    got = answer["outcomes"]
    for one in want:
        weight = Fraction(one["weight"], total)
        found = [
            outcome
            for outcome in got
            if outcome["status"] == one["status"]
            and Fraction(outcome["weight"]) == weight
            and ("backend" not in one or (outcome["backend"] and _same_backend(one["backend"], outcome["backend"])))
        ]
        if not found:
            yield f"{one} is not in {got}"


def _endpoints(want: Any, answer: Json, repeated: bool) -> Iterator[str]:
    got = {endpoint for share in answer["backends"] for endpoint in share["endpoints"]}
    if got != set(want):
        yield f"{sorted(got)} instead of {want}"


def _via_cluster_ip(want: Any, answer: Json, _: bool) -> Iterator[str]:
    if not all(share.get("viaClusterIP") for share in answer["backends"]) or not answer["backends"]:
        yield f"backends are {answer['backends']}"


def _plain(key: str) -> Any:
    def check(want: Any, answer: Json, _: bool) -> Iterator[str]:
        if answer.get(key) != want:
            yield f"{answer.get(key)!r} instead of {want!r}"

    return check


def _rule(want: Json, answer: Json, _: bool) -> Iterator[str]:
    got = answer["matched"]
    names = {"ruleIndex": "rule"}
    if got is None or any(got[names.get(key, key)] != value for key, value in want.items()):
        yield f"{got} instead of {want}"


def _lowered(headers: Json) -> dict[str, Any]:
    return {name.lower(): value for name, value in headers.items()}


def _headers(key: str) -> Any:
    def check(want: Json, answer: Json, _: bool) -> Iterator[str]:
        got = {**_lowered(answer[key])}
        if key == "upstreamHeaders":
            for share in answer["backends"]:
                got.update(_lowered(share.get("upstreamHeaders", {})))
        for name, value in _lowered(want).items():
            if got.get(name) != value:
                yield f"{name} is {got.get(name)!r} instead of {value!r}"

    return check


def _absent(key: str) -> Any:
    def check(want: list[str], answer: Json, _: bool) -> Iterator[str]:
        for name in want:
            if name.lower() in _lowered(answer[key]):
                yield f"{name} is there"

    return check


def _response_header_in(want: Json, answer: Json, _: bool) -> Iterator[str]:
    got = _lowered(answer["responseHeaders"])
    for name, allowed in want.items():
        if got.get(name.lower()) not in allowed:
            yield f"{name} is {got.get(name.lower())!r}"


def _mirrors(want: list[Json], answer: Json, _: bool) -> Iterator[str]:
    got = answer.get("mirrors", [])
    keys = ("namespace", "service", "port", "percent")
    found = [tuple(one[key] for key in keys) for one in got]
    if found != [tuple(one[key] for key in keys) for one in want]:
        yield f"{got} instead of {want}"


_CHECKS: dict[str, Any] = {
    "status": _status,
    "statusIn": _status_in,
    "backend": _backend,
    "backends": _backends,
    "outcomes": _outcomes,
    "endpoints": _endpoints,
    "viaClusterIP": _via_cluster_ip,
    "rule": _rule,
    "upstreamHeaders": _headers("upstreamHeaders"),
    "responseHeaders": _headers("responseHeaders"),
    "upstreamHeadersAbsent": _absent("upstreamHeaders"),
    "responseHeadersAbsent": _absent("responseHeaders"),
    "responseHeaderIn": _response_header_in,
    "mirrors": _mirrors,
    **{
        key: _plain(key)
        for key in (
            "upstreamPath",
            "upstreamHost",
            "location",
            "tls",
            "outcome",
            "grpcStatus",
            "backendTLS",
            "setCookie",
        )
    },
}
