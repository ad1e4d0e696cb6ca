"""kube-proxy's own flags, wherever rules are made: its names, meanings and defaults, booleans as Go writes them.

Source: `kube-proxy --help` of v1.36 and pflag, which reads `--x` as `--x=true` and never takes the next word for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from iptables_gen.kubeproxy.inputs import ProxyConfig
    from netsim.cluster.model import Cluster
    from netsim.notes import Note

F = TypeVar("F", bound=Callable[..., Any])

_PARAMETER = "proxy__"
_CONFIG = "proxy_config_file"

TEXTS: Mapping[str, tuple[str, str]] = {
    "proxy-mode": ("MODE", "Which proxy mode to use: iptables (default), ipvs or nftables."),
    "cluster-cidr": ("CIDR[,CIDR]", "The range of pod addresses; with ClusterCIDR detection their traffic is local."),
    "detect-local-mode": (
        "MODE",
        "How local traffic is told: ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix.",
    ),
    "pod-bridge-interface": ("NAME", "The bridge of local pods, for BridgeInterface."),
    "pod-interface-name-prefix": ("PREFIX", "How interfaces of local pods begin, for InterfaceNamePrefix."),
    "iptables-masquerade-bit": ("BIT", "Bit of the packet mark that asks for SNAT, 0 to 31 (14)."),
    "ipvs-scheduler": ("NAME", "The ipvs scheduler (rr)."),
}
"""Flags that take a word: metavar and help."""

LISTS: Mapping[str, tuple[str, str]] = {
    "nodeport-addresses": (
        "CIDR[,CIDR]…",
        "Networks of node addresses that accept nodePorts, or `primary`; default all.",
    ),
    "ipvs-exclude-cidrs": ("CIDR[,CIDR]…", "Networks that ipvs clean-up leaves alone."),
}
"""Flags that take a comma-separated list and may be repeated."""

BOOLEANS: Mapping[str, str] = {
    "masquerade-all": "SNAT all traffic sent to ClusterIPs.",
    "iptables-localhost-nodeports": "Accept nodePorts on 127.0.0.0/8 (true; iptables mode and IPv4 only).",
    "conntrack-tcp-be-liberal": "nf_conntrack_tcp_be_liberal is 1: INVALID packets are not dropped.",
    "ipvs-strict-arp": "arp_ignore is 1 and arp_announce 2.",
}
"""Boolean flags."""

IGNORED_TEXTS = [
    "bind-address",
    "config-sync-period",
    "conntrack-max-per-core",
    "conntrack-min",
    "conntrack-tcp-timeout-close-wait",
    "conntrack-tcp-timeout-established",
    "conntrack-udp-timeout",
    "conntrack-udp-timeout-stream",
    "feature-gates",
    "healthz-bind-address",
    "healthz-port",
    "hostname-override",
    "iptables-min-sync-period",
    "iptables-sync-period",
    "ipvs-min-sync-period",
    "ipvs-sync-period",
    "ipvs-tcp-timeout",
    "ipvs-tcpfin-timeout",
    "ipvs-udp-timeout",
    "kube-api-burst",
    "kube-api-content-type",
    "kube-api-qps",
    "kubeconfig",
    "log-flush-frequency",
    "log-json-info-buffer-size",
    "log-text-info-buffer-size",
    "logging-format",
    "master",
    "metrics-bind-address",
    "metrics-port",
    "oom-score-adj",
    "show-hidden-metrics-for-version",
    "v",
    "vmodule",
    "write-config-to",
]
"""Flags of kube-proxy that take a word and change no rule."""

IGNORED_BOOLEANS = [
    "bind-address-hard-fail",
    "cleanup",
    "init-only",
    "log-json-split-stream",
    "log-text-split-stream",
    "profiling",
]
"""Boolean flags of kube-proxy that change no rule."""

_BOOLEAN_NAMES = frozenset((*BOOLEANS, *IGNORED_BOOLEANS))
_NAMES = frozenset((*_BOOLEAN_NAMES, *TEXTS, *LISTS, *IGNORED_TEXTS))
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


RULE_STARTS = ("-A ", "-I ", "-a ")
"""How the text of a rule or an ipvs server starts as one word of the command line: an option has no blank."""


def as_pflag(words: Sequence[str]) -> list[str]:
    """Return a command line in which a boolean flag of kube-proxy always has its value, and `_` in its flags is `-`.

    click can say neither "an optional value, but never the next word" nor pflag's word separators. Words after `--`
    stay as they are. The text of a rule (`-A CHAIN …` in one word) is no option: a blank before it says so to click.
    """
    end = list(words).index("--") if "--" in words else len(words)
    return [*map(_as_pflag, words[:end]), *words[end:]]


def _as_pflag(word: str) -> str:
    if word.startswith(RULE_STARTS):
        return f" {word}"
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("_", "-")
    if name not in _NAMES:
        return word
    return f"--{name}=true" if name in _BOOLEAN_NAMES and not equals else f"--{name}{equals}{value}"


def parse_bool(text: str) -> bool:
    """Return a boolean as Go's strconv.ParseBool reads it; raise ValueError for anything else."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def proxy_options(function: F) -> F:
    """Add kube-proxy's flags and --config; `proxy_config` reads them back from the parameters."""
    for option in reversed((*_effective(), *_ignored())):
        function = option(function)
    return function


def _effective() -> Iterator[Callable[[Any], Any]]:
    for name, (metavar, text) in TEXTS.items():
        yield click.option(f"--{name}", _parameter(name), metavar=metavar, help=text)
    for name, (metavar, text) in LISTS.items():
        yield click.option(f"--{name}", _parameter(name), metavar=metavar, help=text, multiple=True)
    for name, text in BOOLEANS.items():
        yield click.option(f"--{name}", _parameter(name), metavar="[=true|false]", help=text, callback=_boolean)
    yield click.option("--config", _CONFIG, metavar="FILE", default="", help="A KubeProxyConfiguration file.")


def _ignored() -> Iterator[Callable[[Any], Any]]:
    for name in IGNORED_TEXTS:
        yield click.option(f"--{name}", _parameter(name), hidden=True)
    for name in IGNORED_BOOLEANS:
        yield click.option(f"--{name}", _parameter(name), hidden=True, callback=_boolean)


def _parameter(name: str) -> str:
    return _PARAMETER + name.replace("-", "_")


def _boolean(_context: click.Context, parameter: click.Parameter, value: str | None) -> bool | None:
    try:
        return None if value is None else parse_bool(value)
    except ValueError as error:
        flag = parameter.opts[0]
        raise click.BadParameter(f'invalid argument "{value}" for "{flag}" flag: {error}') from error


def given_flags(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of kube-proxy that were given, by name."""
    found = {name: params.get(_parameter(name)) for name in sorted(_NAMES)}
    return {name: value for name, value in found.items() if value is not None and value != ()}


def proxy_config(
    params: Mapping[str, Any], cluster: Cluster, *, nfacct: bool = True
) -> tuple[ProxyConfig, tuple[Note, ...]]:
    """Return kube-proxy's settings and the notes about what was ignored.

    Raises:  UsageError or ManifestErrors (exit 2) for settings that cannot be understood.
    """
    from netsim.cluster.proxyconfig import resolve
    from netsim.notes import Note

    flags = given_flags(params)
    ignored = [name for name in flags if name in IGNORED_TEXTS or name in IGNORED_BOOLEANS]
    resolved = resolve(flags, str(params.get(_CONFIG) or ""), cluster, nfacct=nfacct)
    notes = [Note("KUBE_PROXY_FLAG_IGNORED", f"--{name} of kube-proxy changes no rule") for name in ignored]
    return resolved.config, (*notes, *resolved.notes)
