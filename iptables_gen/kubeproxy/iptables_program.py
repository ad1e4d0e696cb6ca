"""iptables mode as a program: the texts of a full sync, and the model of what the kernel then does with a packet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from iptables_gen.dataplane import HookEntry
from iptables_gen.effects import RuleRef
from iptables_gen.kubeproxy.inputs import ProxyInput
from iptables_gen.kubeproxy.iptables import Sheet, restore_text, sheet
from iptables_gen.kubeproxy.iptables_saved import save_text, saved_ruleset
from iptables_gen.kubeproxy.versions import DEFAULT, Version
from iptables_gen.values import Family
from iptables_gen.xtables.ir import Ruleset, chains_of

if TYPE_CHECKING:
    from iptables_gen.xtables.evaluate import XtablesDataplane


def compile_input(proxy_input: ProxyInput, version: Version = DEFAULT) -> IptablesProgram:
    """Return what kube-proxy programs; raise CompileError for a name that cannot stand in a rule."""
    return IptablesProgram(sheet(proxy_input, version))


class Texts(Mapping[str, str]):
    """Texts by file name, each made when it is read: the saved ruleset takes as long as all its rules."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> str:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class IptablesProgram:
    """The rules of one family on one node."""

    def __init__(self, written: Sheet) -> None:
        self.sheet = written

    @property
    def family(self) -> Family:
        """Return 4 or 6."""
        return self.sheet.family

    @cached_property
    def ruleset(self) -> Ruleset:
        """Return what the kernel holds after the full sync."""
        return saved_ruleset(self.sheet)

    @cached_property
    def _dataplane(self) -> XtablesDataplane:
        from iptables_gen.xtables.evaluate import XtablesDataplane

        return XtablesDataplane(self.ruleset)

    def hooks(self) -> tuple[HookEntry, ...]:
        """Return the base chains."""
        return self._dataplane.hooks()

    def render(self) -> Mapping[str, str]:
        """Return `iptables.restore` and `iptables.save`, or the `ip6tables` ones."""
        tool = "iptables" if self.family == 4 else "ip6tables"
        return Texts(
            {f"{tool}.restore": lambda: restore_text(self.sheet), f"{tool}.save": lambda: save_text(self.ruleset)}
        )

    def rules(self) -> Mapping[str, Mapping[str, Sequence[RuleRef]]]:
        """Return every rule by table and chain."""
        return {
            table.name: {name: chain.rules for name, chain in chains_of(table).items()} for table in self.ruleset.tables
        }

    def explain(self, name: str) -> tuple[RuleRef, ...]:
        """Return the rules of a chain and those that refer to it; () for an unknown name."""
        return self._dataplane.explain(name)
