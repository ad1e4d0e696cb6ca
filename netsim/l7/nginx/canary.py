"""Which of main and canary answers: affinity, then header, cookie, weight (balancer.lua
route_to_alternative_balancer).
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Final

from netsim.l7.nginx.annotations import CanaryPolicy
from netsim.l7.nginx.upstreams import Upstream
from netsim.l7.pcre import compile_pattern
from netsim.l7.request import Request

ALWAYS: Final = Fraction(1)
NEVER: Final = Fraction(0)


def canary_share(main: Upstream, canary: Upstream, request: Request) -> Fraction:
    """Return the canary's part of such requests: 1, 0, or its weight."""
    if affinitized(main, request):
        return NEVER
    if not canary.endpoints or canary.canary is None:
        return NEVER
    if affinitized(canary, request):
        return ALWAYS
    return policy_share(canary.canary, request)


def policy_share(policy: CanaryPolicy, request: Request) -> Fraction:
    """Return what header, cookie and weight decide, in that order."""
    by_header = _by_header(policy, request)
    if by_header is not None:
        return by_header
    cookie = request.cookies.get(policy.cookie) if policy.cookie else None
    if cookie in ("always", "never"):
        return ALWAYS if cookie == "always" else NEVER
    total = policy.total if policy.total > 100 else 100
    return min(max(Fraction(policy.weight, total), NEVER), ALWAYS)


def _by_header(policy: CanaryPolicy, request: Request) -> Fraction | None:
    """A value, else a pattern, else always/never; a pattern that does not compile sends the request to the main
    backend.
    """
    header = request.headers.get(policy.header.lower().replace("_", "-")) if policy.header else None
    if header is None:
        return None
    if policy.value:
        return ALWAYS if header == policy.value else None
    if policy.pattern:
        pattern = compile_pattern(policy.pattern)
        if pattern is None:
            return NEVER
        return ALWAYS if pattern.search(header) else None
    return {"always": ALWAYS, "never": NEVER}.get(header)


def backend_key(name: str) -> str:
    """Return the second part of an affinity cookie: it says which upstream set it (sticky.lua)."""
    inner = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return hashlib.md5((inner + name).encode(), usedforsecurity=False).hexdigest()


def affinitized(upstream: Upstream, request: Request) -> bool:
    """Whether the request carries an affinity cookie of this upstream."""
    if upstream.affinity is None:
        return False
    value = request.cookies.get(upstream.affinity.cookie, "")
    return value.partition("|")[2] == backend_key(upstream.name) if "|" in value else False


def sticky_endpoint(upstream: Upstream, request: Request) -> str | None:
    """Return the endpoint to which an affinity cookie sticks, None without one.

    Always the same for one cookie; which one it is in a real controller depends on its hash ring.
    """
    if upstream.affinity is None or not upstream.endpoints:
        return None
    key = request.cookies.get(upstream.affinity.cookie, "").partition("|")[0]
    if not key:
        return None
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return sorted(upstream.endpoints)[number % len(upstream.endpoints)]
