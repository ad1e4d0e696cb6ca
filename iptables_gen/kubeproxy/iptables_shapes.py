"""The shapes of kube-proxy's iptables rules: each is written once, as restore input, and its save spelling derived.

Lines have named holes. `{name}` is the service port's name inside a quoted comment, `{bare}` the same as a word of its
own, `{chain}` the rule's chain where it is not literal, `{to}` the chain jumped to. A template's arguments are the
holes in the order of their first appearance, then `{name}` where the save spelling quotes what restore input writes
bare, and `{saved}` where it prints a probability with other digits.
Source: observed on kube-proxy v1.36.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from iptables_gen.kubeproxy.detect import Detector
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Row, RowTemplate
from iptables_gen.xtables.text import parse_rule
from iptables_gen.xtables.words import restore_string

_HOLE = re.compile(r"(?<!\{)\{(\w+)\}")
_SAMPLES = {
    "chain": "KUBE-SAMPLE-ONE",
    "to": "KUBE-SAMPLE-TWO",
    "name": "sample/name",
    "bare": "sample/bare",
    "port": "23456",
    "seconds": "34567",
    "probability": "0.1250000000",
}
_ADDRESS_SAMPLES: dict[Family, dict[str, str]] = {
    4: {"ip": "192.0.2.77", "cidr": "198.51.100.0/24", "endpoint": "203.0.113.88:4321"},
    6: {"ip": "2001:db8:77::1", "cidr": "2001:db8:99::/64", "endpoint": "[2001:db8:88::1]:4321"},
}
_PRINTED = {"bare": ("sample/bare", "name"), "probability": ("0.12500000000", "saved")}
"""Holes whose argument save spells differently: what it prints for the sample, and the hole that takes its place."""


def literal(text: str) -> str:
    """Return text for a line outside any hole, quoted where a word splitter could misread it."""
    return restore_string(text).replace("{", "{{").replace("}", "}}")


@lru_cache(maxsize=512)
def template(family: Family, table: str, line: str) -> RowTemplate:
    """Return the template of a line with named holes."""
    holes = tuple(dict.fromkeys(_HOLE.findall(line)))
    extra = tuple(_PRINTED[hole][1] for hole in holes if hole in _PRINTED)
    order = tuple(dict.fromkeys((*holes, *extra)))
    samples = {**_SAMPLES, **_ADDRESS_SAMPLES[family]}
    sample = line.format(**samples)
    saved = parse_rule(sample, table, family).text.replace("{", "{{").replace("}", "}}")
    for hole in holes:
        printed, instead = _PRINTED.get(hole, (samples[hole], hole))
        saved = saved.replace(printed, f"{{{order.index(instead)}}}")
    restore = _HOLE.sub(lambda found: f"{{{order.index(found[1])}}}", line)
    chain = line.split(" ", 2)[1]
    return RowTemplate(table, "" if chain == "{chain}" else chain, restore, saved)


def fixed(family: Family, table: str, line: str) -> Row:
    """Return a rule without holes and without any object behind it."""
    return Row(template(family, table, line), ())


Shape = Literal[
    "cluster IP",
    "external IP",
    "VIP",
    "nodePort",
    "localhost nodePort",
    "health check",
    "not accepted",
    "masquerade all",
    "masquerade outsiders",
    "masquerade external",
    "pods to external",
    "masquerade local",
    "route local",
    "onward",
    "from source",
    "from VIP",
    "other traffic",
    "affine",
    "choose",
    "choose last",
    "affine, silent",
    "choose, silent",
    "choose last, silent",
    "hairpin",
    "DNAT",
    "DNAT affine",
    "hairpin, silent",
    "DNAT, silent",
    "DNAT affine, silent",
]
"""Kinds of rules made per service port; the silent ones have no comment (large clusters)."""

_TO = "-m {P} -p {P} -d {ip} --dport {port}"
_SERVICES = f'-A KUBE-SERVICES -m comment --comment "{{name}} %s" {_TO} -j {{to}}'
_CHAIN = '-A {chain} -m comment --comment "%s" '
_EP = '-m comment --comment "{name} -> {endpoint}" '
_NAMED = "-m comment --comment {bare} "
_NODE_PORT = "-A KUBE-NODEPORTS -m comment --comment {bare} -m {P} -p {P} %s-j {to}"
_COUNTED = "-d 127.0.0.0/8 --dport {port} -m nfacct --nfacct-name localhost_nps_accepted_pkts "
_RECENT = "-m recent --name {to} --rcheck --seconds {seconds} --reap -j {to}"
_RANDOM = "-m statistic --mode random --probability {probability} -j {to}"
_DNAT = "-m {P} -p {P} -j DNAT --to-destination {endpoint}"
_REMEMBER = "-m recent --name {chain} --set "

FILTER_LINES: Mapping[Shape, str] = {
    "health check": '-A KUBE-NODEPORTS -m comment --comment "{name} health check node port" '
    "-m tcp -p tcp --dport {port} -j ACCEPT",
    "not accepted": '-A KUBE-PROXY-FIREWALL -m comment --comment "{name} traffic not accepted by {to}" '
    + _TO
    + " -j DROP",
}
"""Lines of table filter."""

NAT_LINES: Mapping[Shape, str] = {
    "cluster IP": _SERVICES % "cluster IP",
    "external IP": _SERVICES % "external IP",
    "VIP": _SERVICES % "loadbalancer IP",
    "nodePort": _NODE_PORT % "--dport {port} ",
    "localhost nodePort": _NODE_PORT % _COUNTED,
    "masquerade all": _CHAIN % "{name} cluster IP" + _TO + " -j KUBE-MARK-MASQ",
    "masquerade outsiders": _CHAIN % "{name} cluster IP" + _TO + " ! {LOCAL} -j KUBE-MARK-MASQ",
    "masquerade external": _CHAIN % "masquerade traffic for {name} external destinations" + "-j KUBE-MARK-MASQ",
    "pods to external": _CHAIN % "pod traffic for {name} external destinations" + "{LOCAL} -j {to}",
    "masquerade local": _CHAIN % "masquerade LOCAL traffic for {name} external destinations"
    + "-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
    "route local": _CHAIN % "route LOCAL traffic for {name} external destinations"
    + "-m addrtype --src-type LOCAL -j {to}",
    "onward": "-A {chain} -j {to}",
    "from source": _CHAIN % "{name} loadbalancer IP" + "-s {cidr} -j {to}",
    "from VIP": _CHAIN % "{name} loadbalancer IP" + "-s {ip} -j {to}",
    "other traffic": (_CHAIN % "other traffic to {name} will be dropped by KUBE-PROXY-FIREWALL").rstrip(),
    "affine": "-A {chain} " + _EP + _RECENT,
    "choose": "-A {chain} " + _EP + _RANDOM,
    "choose last": "-A {chain} " + _EP + "-j {to}",
    "affine, silent": "-A {chain} " + _RECENT,
    "choose, silent": "-A {chain} " + _RANDOM,
    "choose last, silent": "-A {chain} -j {to}",
    "hairpin": "-A {chain} " + _NAMED + "-s {ip} -j KUBE-MARK-MASQ",
    "DNAT": "-A {chain} " + _NAMED + _DNAT,
    "DNAT affine": "-A {chain} " + _NAMED + _REMEMBER + _DNAT,
    "hairpin, silent": "-A {chain} -s {ip} -j KUBE-MARK-MASQ",
    "DNAT, silent": "-A {chain} " + _DNAT,
    "DNAT affine, silent": "-A {chain} " + _REMEMBER + _DNAT,
}
"""Lines of table nat. `{P}` is the protocol, `{LOCAL}` the detector's clause."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The templates of one protocol's rules under one detector, made when first asked for."""

    family: Family
    protocol: str
    local: str = ""

    def __getitem__(self, shape: Shape) -> RowTemplate:
        """Return a shape's template."""
        return _shaped(self.family, shape, self.protocol, self.local)


@lru_cache(maxsize=512)
def _shaped(family: Family, shape: Shape, protocol: str, local: str) -> RowTemplate:
    table, line = ("filter", FILTER_LINES[shape]) if shape in FILTER_LINES else ("nat", NAT_LINES[shape])
    return template(family, table, line.replace("{P}", protocol).replace("{LOCAL}", local))


def local_clause(found: Detector | None) -> str:
    """Return the clause that matches traffic of local pods (a `!` before it negates it), "" without one."""
    if found is None:
        return ""
    return f"-s {literal(found.value)}" if found.kind == "source" else f"-i {literal(found.interface)}"
