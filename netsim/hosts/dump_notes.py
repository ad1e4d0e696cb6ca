"""Rules of a dump that say that its node has another CNI than the one that the model gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from iptables_gen.xtables.ir import Rule, Ruleset, Style
from netsim.hosts.dump_parts import Dump
from netsim.hosts.dumps import Dumps
from netsim.notes import Note

# Interfaces of pods and tunnels that Calico, Cilium, Azure, AWS, GKE, Weave, flannel, Antrea, OVN and kube-router make.
_FOREIGN = r"(?:cali|tunl|vxlan\.|lxc|cilium|azv|eni|gke|weave|vethwe|flannel|antrea|ovn|genev|kube-bridge)"
_CLAUSE = re.compile(rf'(?:-[io]|[io]ifname(?: !=)?) "?({_FOREIGN}[^\s"]*)')
MOST_NAMES = 4


def dump_notes(dumps: Dumps) -> Iterator[Note]:
    """Yield a qualifying note for each node whose dump matches interfaces of another CNI: here they match nothing."""
    for node, parts in dumps.items():
        names = sorted({name for part in parts.values() for text in _rules(part) for name in _CLAUSE.findall(text)})
        if names:
            shown = ", ".join(names[:MOST_NAMES]) + (" …" if len(names) > MOST_NAMES else "")
            where = f"rules of {node} name interfaces of another CNI ({shown})"
            text = f"{where}: in the model, whose pods are on a bridge, they match nothing"
            yield Note("CNI_ASSUMED", text, qualifies=True)


def _rules(part: Ruleset | Dump) -> Iterator[str]:
    """Yield the text of every rule."""
    ruleset = part if isinstance(part, Ruleset) else part.ruleset
    for table in ruleset.tables if ruleset else ():
        yield from (command.render(Style.SAVE) for command in table.commands if isinstance(command, Rule))
    if isinstance(part, Dump) and part.tables:
        from iptables_gen.nft.text import render_tables

        yield from render_tables(part.tables.values()).splitlines()
