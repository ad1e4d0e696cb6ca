"""The http level of the configuration: upstream groups, canary maps, affinity, limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from netsim.l7.conf.quoting import (
    Refused,
    comment,
    cookie_name,
    header_variable,
    identifier,
    literal,
    portable,
    quote,
    server_address,
    with_variables,
)
from netsim.l7.conf.view import Block
from netsim.l7.nginx.annotations import CanaryPolicy
from netsim.l7.nginx.canary import backend_key
from netsim.l7.nginx.upstreams import Affinity, Upstream

EMPTY_GROUP: Final = "no_endpoints"


@dataclass(frozen=True, slots=True)
class Groups:
    """Names of upstream groups by upstream, what a location passes requests to, and the blocks that define them.

    `targets` is the group's name, or the variable that chooses between main and canary. `cookies` is the variable
    with the
    affinity cookie to set, by upstream. `refused` says what could not be written.
    """

    names: Mapping[str, str]
    targets: Mapping[str, str]
    cookies: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    refused: tuple[str, ...] = ()


def build_groups(upstreams: Mapping[str, Upstream], used: Iterable[str], addresses: Mapping[str, str]) -> Groups:
    """Return the groups of the upstreams that locations use, and of their canaries. *addresses* replaces endpoints."""
    wanted = sorted(_with_canaries(upstreams, used))
    names = _unique({name: identifier(name) for name in wanted})
    blocks: list[Block] = []
    refused: list[str] = []
    targets, cookies = dict(names), {}
    for number, name in enumerate(wanted):
        upstream = upstreams[name]
        if upstream.affinity:
            made, cookie = _affinity_blocks(number, upstream, upstream.affinity, refused)
            blocks += made
            cookies.update({name: cookie} if cookie else {})
        blocks.append(_group(number, upstream, names[name], addresses, bool(cookies.get(name)), refused))
        canary = upstreams.get(upstream.alternative)
        if canary is not None and canary.canary is not None and canary.endpoints:
            blocks += _canary_blocks(number, upstream, canary, canary.canary, names, refused)
            targets[name] = f"$backend_{number}"
    return Groups(names, targets, cookies, tuple(blocks), tuple(refused))


def _with_canaries(upstreams: Mapping[str, Upstream], used: Iterable[str]) -> set[str]:
    found = {name for name in used if upstreams[name].endpoints}
    found |= {upstreams[name].alternative for name in found if upstreams[name].alternative}
    return {name for name in found if upstreams[name].endpoints}


def _unique(names: Mapping[str, str]) -> dict[str, str]:
    taken: set[str] = {EMPTY_GROUP}
    found: dict[str, str] = {}
    for key, name in names.items():
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        found[key] = candidate
    return found


def _group(
    number: int, upstream: Upstream, name: str, addresses: Mapping[str, str], sticky: bool, refused: list[str]
) -> Block:
    lines = [f"hash $affinity_{number} consistent"] if sticky else list(_hash(upstream, refused))
    for endpoint in upstream.endpoints:
        try:
            lines.append(f"server {server_address(addresses.get(endpoint, endpoint))} max_fails=0")
        except Refused as why:
            refused.append(comment(f"endpoint {endpoint} of {name}: {why}"))
    if not any(line.startswith("server ") for line in lines):
        lines.append("server 127.0.0.1:1 down")
    share = upstream.share
    note = comment(f"Service {share.namespace}/{share.service}, port {share.port}")
    return Block(f"upstream {name}", tuple(lines), note)


def _hash(upstream: Upstream, refused: list[str]) -> Iterator[str]:
    if upstream.hash_by:
        try:
            yield f"hash {quote(with_variables(upstream.hash_by, 0))} consistent"
        except Refused as why:
            refused.append(comment(f"upstream-hash-by of {upstream.name}: {why}"))
    elif upstream.load_balance not in ("", "round_robin"):
        refused.append(
            comment(f"load-balance {upstream.load_balance} of {upstream.name}: only Lua has it; round robin instead")
        )


def _cookie_pattern(cookie: str, value: str) -> str:
    return rf"(?:^|; *){re.escape(cookie)}={value}"


def _affinity_blocks(
    number: int, upstream: Upstream, affinity: Affinity, refused: list[str]
) -> tuple[list[Block], str]:
    """The cookie's key, else a new one ($request_id), chooses the endpoint; requests without it get it."""
    try:
        cookie = cookie_name(affinity.cookie)
    except Refused as why:
        refused.append(comment(f"affinity cookie {affinity.cookie} of {upstream.name}: {why}"))
        return [], ""
    key = quote("~" + _cookie_pattern(cookie, f"(?<affinity_key_{number}>[^;|]+)"))
    present = quote("~" + _cookie_pattern(cookie, ""))
    value = quote(f"{literal(cookie)}=$request_id|{backend_key(upstream.name)}; Path=/; HttpOnly")
    return [
        Block(f"map $http_cookie $affinity_{number}", ("default $request_id", f"{key} $affinity_key_{number}")),
        Block(f"map $http_cookie $affinity_cookie_{number}", (f"default {value}", f'{present} ""')),
    ], f"$affinity_cookie_{number}"


def _canary_blocks(
    number: int, main: Upstream, canary: Upstream, policy: CanaryPolicy, names: Mapping[str, str], refused: list[str]
) -> list[Block]:
    """Affinity, header, cookie and weight each say 1 (canary), 0 (main) or nothing; the first that says something
    decides.
    """
    blocks = [_weight(number, policy)]
    sources: list[str] = []
    for kind, made in (("sticky", _sticky), ("header", _header), ("cookie", _cookie)):
        try:
            block = made(number, main, canary, policy)
        except Refused as why:
            refused.append(comment(f"canary-by-{kind} of {canary.name}: {why}"))
            continue
        if block is not None:
            blocks.append(block)
            sources.append(f"$canary_{kind}_{number}")
    sources.append(f"$canary_weight_{number}")
    decided = f'map "{":".join(sources)}" $backend_{number}'
    lines = (f"default {names[main.name]}", f'"~^:*1" {names[canary.name]}')
    note = comment(f"{main.name}, or its canary {canary.name}")
    return [*blocks, Block(decided, lines, note)]


def _weight(number: int, policy: CanaryPolicy) -> Block:
    total = policy.total if policy.total > 100 else 100
    part = min(max(Fraction(policy.weight, total), Fraction(0)), Fraction(1)) * 100
    if part in (0, 100):
        return Block(f"map $host $canary_weight_{number}", (f"default {int(part == 100)}",))
    # split_clients reads percentages with at most two digits after the point.
    percent = max(round(float(part), 2), 0.01)
    return Block(f'split_clients "$request_id" $canary_weight_{number}', (f"{percent:g}% 1", "* 0"))


def _sticky(number: int, main: Upstream, canary: Upstream, policy: CanaryPolicy) -> Block | None:
    lines = ['default ""']
    for upstream, verdict in ((main, "0"), (canary, "1")):
        if upstream.affinity:
            cookie = cookie_name(upstream.affinity.cookie)
            pattern = _cookie_pattern(cookie, rf"[^;|]*\|{backend_key(upstream.name)}(?:;|$)")
            lines.append(f"{quote('~' + pattern)} {verdict}")
    return Block(f"map $http_cookie $canary_sticky_{number}", tuple(lines)) if len(lines) > 1 else None


def _header(number: int, main: Upstream, canary: Upstream, policy: CanaryPolicy) -> Block | None:
    if not policy.header:
        return None
    variable = header_variable(policy.header)
    if policy.value:
        lines = ['default ""', f"{quote('~' + _whole(policy.value))} 1"]
    elif policy.pattern:
        lines = _pattern_lines(policy.pattern)
    else:
        lines = ['default ""', '"~^always$" 1', '"~^never$" 0']
    return Block(f"map {variable} $canary_header_{number}", tuple(lines))


def _whole(value: str) -> str:
    return rf"^{re.escape(value)}\z"


def _pattern_lines(pattern: str) -> list[str]:
    """A pattern that does not compile sends every request with the header to the main backend."""
    try:
        return ['default ""', f"{quote('~' + portable(pattern))} 1"]
    except Refused:
        return ["default 0", '"" ""']


def _cookie(number: int, main: Upstream, canary: Upstream, policy: CanaryPolicy) -> Block | None:
    if not policy.cookie:
        return None
    cookie = cookie_name(policy.cookie)
    always, never = (quote("~" + _cookie_pattern(cookie, rf"{word} *(?:;|$)")) for word in ("always", "never"))
    return Block(f"map $http_cookie $canary_cookie_{number}", ('default ""', f"{always} 1", f"{never} 0"))
