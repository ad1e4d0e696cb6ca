"""Rule dumps of any language: told apart by content, read into dataplanes, printed again. Languages load when used."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Literal

from iptables_gen.dataplane import Dataplane
from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.values import Family

Language = Literal["xtables", "nft"]

_XTABLES = re.compile(r"^\*\w+\s*$", re.MULTILINE)
_NFT = re.compile(r"^\s*(?:table|add|flush|destroy|create)\s", re.MULTILINE)


class FileError(ValueError):
    """A file that cannot be read, or holds no rules in a language of this package."""


def read(file: str) -> str:
    """Return the text of a file, or of standard input for `-`; bytes that are no UTF-8 are kept as surrogates.

    Raises:  FileError when it cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise FileError(f"{file}: {error.strerror}") from error
    return data.decode("utf-8", "surrogateescape")


def language(text: str, file: str = "-") -> Language:
    """Return the language of a dump.

    Raises:  FileError when it looks like none.
    """
    if _XTABLES.search(text):
        return "xtables"
    if _NFT.search(text):
        return "nft"
    raise FileError(f"{file}: neither the output of iptables-save (a line `*nat`) nor of nft list ruleset (`table …`)")


def dataplanes(text: str, file: str = "-", family: Family | None = None) -> tuple[Dataplane, ...]:
    """Return the rules of a dump: one dataplane of iptables rules, one for each family of nft tables.

    Raises:  RulesetSyntaxError, FileError.
    """
    if language(text, file) == "xtables":
        from iptables_gen.xtables.evaluate import XtablesDataplane
        from iptables_gen.xtables.text import parse

        return (XtablesDataplane(parse(text, file, family)),)
    from iptables_gen.nft.dataplane import NftDataplane
    from iptables_gen.nft.text import parse as parse_nft

    tables = parse_nft(text, file)
    families: tuple[Family, ...] = (family,) if family else (4, 6)
    return tuple(NftDataplane(one, tables=tables) for one in families)


def reprinted(text: str, file: str = "-", style: str = "save") -> str:
    """Return a dump printed again, in a spelling of iptables (`save`, `restore`) or as nft lists it.

    Raises:  RulesetSyntaxError, FileError.
    """
    if language(text, file) == "xtables":
        from iptables_gen.xtables.ir import Style
        from iptables_gen.xtables.text import parse, render

        return render(parse(text, file), Style(style))
    from iptables_gen.nft.text import parse as parse_nft
    from iptables_gen.nft.text import render_tables

    return render_tables(parse_nft(text, file).values())


__all__ = ["FileError", "RulesetSyntaxError", "dataplanes", "language", "read", "reprinted"]
