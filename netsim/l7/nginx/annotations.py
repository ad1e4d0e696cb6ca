"""ingress-nginx's annotations of one Ingress as frozen settings, with its defaults and its treatment of bad values."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from netsim.l7.controller import parse_bool
from netsim.l7.ingress import Ingress

PREFIX: Final = "nginx.ingress.kubernetes.io/"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SNIPPETS: Final = frozenset(
    ("configuration-snippet", "server-snippet", "auth-snippet", "modsecurity-snippet", "stream-snippet")
)
# Annotations that can change an answer but are not modelled: each becomes a note that qualifies the answer.
NOT_MODELLED: Final = frozenset(
    [
        "auth-url",
        "auth-type",
        "auth-tls-secret",
        "enable-modsecurity",
        "enable-owasp-core-rules",
        "mirror-target",
        "ssl-passthrough",
        "enable-global-auth",
        "satisfy",
        "global-rate-limit",
    ]
)
_PROTOCOLS: Final = frozenset(("HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI"))


@dataclass(frozen=True, slots=True)
class CanaryPolicy:
    """canary-*: header, value, pattern and cookie are "" when absent."""

    weight: int = 0
    total: int = 100
    header: str = ""
    value: str = ""
    pattern: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Cors:
    """enable-cors and cors-*."""

    origins: tuple[str, ...]
    methods: str
    headers: str
    credentials: bool
    expose: str
    max_age: int


@dataclass(frozen=True, slots=True)
class Limits:
    """limit-rps, limit-rpm (0: none), the burst's multiplier, and networks that are never limited."""

    rps: int = 0
    rpm: int = 0
    connections: int = 0
    burst: int = 5
    exempt: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the annotations of one Ingress ask for. `denied` says why the locations answer 503. body_size 0:
    unlimited.
    """

    canary: CanaryPolicy | None = None
    rewrite_target: str = ""
    use_regex: bool = False
    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    preserve_slash: bool = False
    app_root: str = ""
    redirect_url: str = ""
    redirect_code: int = 0
    from_to_www: bool = False
    aliases: tuple[str, ...] = ()
    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    denied: str = ""
    upstream_vhost: str = ""
    x_forwarded_prefix: str = ""
    protocol: str = "HTTP"
    service_upstream: bool = False
    default_backend: str = ""
    custom_errors: tuple[int, ...] = ()
    intercept: bool = True
    body_size: int = 1 << 20
    limits: Limits | None = None
    affinity: bool = False
    affinity_cookie: str = "INGRESSCOOKIE"
    affinity_mode: str = "balanced"
    canary_affinity_legacy: bool = False
    load_balance: str = ""
    hash_by: str = ""
    cors: Cors | None = None
    snippets: tuple[str, ...] = ()
    not_modelled: tuple[str, ...] = ()

    @property
    def rewrites(self) -> bool:
        """Whether a rewrite target is set."""
        return bool(self.rewrite_target)


@dataclass(frozen=True, slots=True)
class Values:
    """An Ingress' annotations without the prefix, and the ConfigMap whose keys are their defaults."""

    given: Mapping[str, str]
    config: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text annotation, "" when absent."""
        return self.given.get(name, "").strip()

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean annotation; a value that Go cannot read counts as absent."""
        value = parse_bool(self.given.get(name, ""))
        if value is None:
            value = parse_bool(self.config.get(name, ""))
        return default if value is None else value

    def number(self, name: str, default: int = 0) -> int:
        """Return an integer annotation; one that cannot be read counts as absent."""
        return _integer(self.given.get(name, ""), default)


def _integer(value: str, default: int) -> int:
    return int(value) if re.fullmatch(r"[+-]?[0-9]{1,18}", value) else default


def read_values(ingress: Ingress, config: Mapping[str, str]) -> Values:
    """Return the ingress-nginx annotations of an Ingress."""
    cut = len(PREFIX)
    given = {key[cut:]: value for key, value in ingress.annotations.items() if key.startswith(PREFIX)}
    return Values(given, config)


def read_settings(ingress: Ingress, config: Mapping[str, str]) -> Settings:
    """Return the settings of an Ingress under a controller's ConfigMap."""
    values = read_values(ingress, config)
    return settings_of(values) if values.given or config else Settings()


def settings_of(values: Values) -> Settings:
    """Return the settings that annotation values ask for."""
    config = values.config
    allow, bad_allow = _networks(values, "allowlist-source-range", "whitelist-source-range")
    deny, bad_deny = _networks(values, "denylist-source-range")
    url, code, www = _redirect(values)
    return Settings(
        canary=_canary(values),
        rewrite_target=values.text("rewrite-target"),
        use_regex=values.flag("use-regex"),
        ssl_redirect=values.flag("ssl-redirect", True),
        force_ssl_redirect=values.flag("force-ssl-redirect"),
        preserve_slash=values.flag("preserve-trailing-slash"),
        app_root=_app_root(values.text("app-root")),
        redirect_url=url,
        redirect_code=code,
        from_to_www=www,
        aliases=_aliases(values.text("server-alias")),
        allow=allow,
        deny=deny,
        denied=bad_allow or bad_deny,
        upstream_vhost=values.text("upstream-vhost"),
        x_forwarded_prefix=values.text("x-forwarded-prefix"),
        protocol=_protocol(values),
        service_upstream=values.flag("service-upstream"),
        default_backend=values.text("default-backend"),
        custom_errors=_codes(values.given.get("custom-http-errors", config.get("custom-http-errors", ""))),
        intercept=not values.flag("disable-proxy-intercept-errors"),
        body_size=_body_size(values),
        limits=_limits(values),
        affinity=values.text("affinity") == "cookie",
        affinity_cookie=values.text("session-cookie-name") or "INGRESSCOOKIE",
        affinity_mode=values.text("affinity-mode") or "balanced",
        canary_affinity_legacy=values.text("affinity-canary-behavior") == "legacy",
        load_balance=values.text("load-balance") or config.get("load-balance", ""),
        hash_by=values.text("upstream-hash-by"),
        cors=_cors(values),
        snippets=tuple(sorted(SNIPPETS.intersection(values.given))),
        not_modelled=tuple(sorted(NOT_MODELLED.intersection(values.given))),
    )


def _canary(values: Values) -> CanaryPolicy | None:
    if not values.flag("canary"):
        return None
    return CanaryPolicy(
        weight=values.number("canary-weight"),
        total=values.number("canary-weight-total", 100),
        header=values.text("canary-by-header"),
        value=values.text("canary-by-header-value"),
        pattern=values.text("canary-by-header-pattern"),
        cookie=values.text("canary-by-cookie"),
    )


def _app_root(value: str) -> str:
    """An absolute path only: URLs are ignored (annotations/rewrite)."""
    return value if value.startswith("/") else ""


def _redirect(values: Values) -> tuple[str, int, bool]:
    """The temporal redirect wins; a URL that is not http(s) drops the whole annotation group (annotations/redirect)."""
    www = values.flag("from-to-www-redirect")
    temporal, permanent = values.text("temporal-redirect"), values.text("permanent-redirect")
    if temporal:
        code = _ranged(values.number("temporal-redirect-code"), 307, 302)
        return (temporal, code, www) if _is_http(temporal) else ("", 0, False)
    if permanent:
        code = _ranged(values.number("permanent-redirect-code"), 308, 301)
        return (permanent, code, www) if _is_http(permanent) else ("", 0, False)
    return "", 0, www


def _ranged(code: int, last: int, default: int) -> int:
    return code if 300 <= code <= last else default


def _is_http(url: str) -> bool:
    try:
        return urlsplit(url).scheme.startswith("http")
    except ValueError:
        return False


def _aliases(value: str) -> tuple[str, ...]:
    names = (name.strip() for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _networks(values: Values, name: str, *aliases: str) -> tuple[tuple[Network, ...], str]:
    """Return the networks of the first annotation present, else of the ConfigMap, and what is wrong with them."""
    keys = (name, *aliases)
    value = next((values.given[key] for key in keys if values.given.get(key)), None)
    if value is None:
        value = next((values.config[key] for key in keys if values.config.get(key)), "")
    try:
        return parse_networks(value), ""
    except ValueError as error:
        return (), f"{name}: {error}"


def parse_networks(value: str) -> tuple[Network, ...]:
    """Return comma-separated addresses and CIDRs; raise ValueError for anything else."""
    words = (word.strip() for word in value.split(","))
    return tuple(ipaddress.ip_network(word, strict=False) for word in words if word)


def _protocol(values: Values) -> str:
    value = values.text("backend-protocol").upper()
    return value if value in _PROTOCOLS else "HTTP"


def _codes(value: str) -> tuple[int, ...]:
    """HTTP codes of 400 to 599; one that is no number makes the whole list absent (annotations/customhttperrors)."""
    words = [word.strip() for word in value.split(",") if word.strip()]
    if not all(re.fullmatch(r"[45][0-9]{2}", word) for word in words):
        return ()
    return tuple(dict.fromkeys(int(word) for word in words))


_SIZE: Final = re.compile(r"([0-9]{1,12})([kKmMgG]?)")
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(value: str) -> int | None:
    """Return bytes of a size that nginx understands (`8m`), None for anything else."""
    found = _SIZE.fullmatch(value.strip())
    return int(found[1]) * _UNITS[found[2].lower()] if found else None


def _body_size(values: Values) -> int:
    sizes = (parse_size(values.text("proxy-body-size")), parse_size(values.config.get("proxy-body-size", "")))
    return next((size for size in sizes if size is not None), 1 << 20)


def _limits(values: Values) -> Limits | None:
    rps, rpm, connections = (max(0, values.number(name)) for name in ("limit-rps", "limit-rpm", "limit-connections"))
    if not (rps or rpm or connections):
        return None
    try:
        exempt = parse_networks(values.text("limit-whitelist") or values.text("limit-allowlist"))
    except ValueError:
        exempt = ()
    return Limits(rps, rpm, connections, max(1, values.number("limit-burst-multiplier", 5)), exempt)


_CORS_METHODS: Final = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
_CORS_HEADERS: Final = (
    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
)


def _cors(values: Values) -> Cors | None:
    if not values.flag("enable-cors"):
        return None
    origins = tuple(word.strip() for word in values.text("cors-allow-origin").split(",") if word.strip())
    return Cors(
        origins=origins or ("*",),
        methods=values.text("cors-allow-methods") or _CORS_METHODS,
        headers=values.text("cors-allow-headers") or _CORS_HEADERS,
        credentials=values.flag("cors-allow-credentials", True),
        expose=values.text("cors-expose-headers"),
        max_age=values.number("cors-max-age", 1728000),
    )


def in_any(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in any of the networks."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in networks)
