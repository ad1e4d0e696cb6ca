"""`python -m iptables_gen fmt|render|eval|explain`: rule dumps on their own, without manifests and without netsim.

Reads what `iptables-save`, `ip6tables-save`, kube-proxy's restore input or `nft list ruleset` hold; told apart by
content. Exit: 0 done, 1 the name is not there, 2 bad usage or input.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

from iptables_gen import dumps, evaluation
from iptables_gen.dataplane import Hook
from iptables_gen.errors import RulesetSyntaxError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what is wrong goes to stderr as one sentence."""
    options = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        return _run(options)
    except (RulesetSyntaxError, evaluation.WordsError, dumps.FileError) as error:
        print(_printable(str(error)), file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _run(options: argparse.Namespace) -> int:
    text = dumps.read(options.file)
    if options.command == "fmt":
        sys.stdout.write(dumps.reprinted(text, options.file, options.style))
        return 0
    planes = dumps.dataplanes(text, options.file, 6 if options.ipv6 else None)
    if options.command == "render":
        sys.stdout.writelines(found for plane in planes for found in plane.render().values())
        return 0
    if options.command == "explain":
        rules = dict.fromkeys(rule for plane in planes for rule in plane.explain(options.name))
        sys.stdout.writelines(f"{rule.table}: {rule.text}\n" for rule in rules)
        if not rules:
            print(_printable(f"{options.file}: no chain, set or map is called {options.name}"), file=sys.stderr)
        return 0 if rules else 1
    hook = Hook[options.hook.upper()]
    packet = evaluation.packet_of(options.packet, options.in_interface, options.out_interface, options)
    host = evaluation.DumpHost.of(options.local)
    sys.stdout.writelines(line + "\n" for line in evaluation.report(planes, hook, packet, host, options.table))
    return 0


def _printable(text: str) -> str:
    """Return text of several lines with control characters escaped."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


class _Parser(argparse.ArgumentParser):
    """argparse whose mistakes exit with 2 and one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {_printable(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m iptables_gen", description="Read, print and evaluate rule dumps.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fmt = commands.add_parser("fmt", help="print a dump again, in one spelling")
    fmt.add_argument("--style", choices=("save", "restore"), default="save", help="spelling of iptables rules")
    render = commands.add_parser("render", help="print the text that loads the rules")
    explain = commands.add_parser("explain", help="print a chain's or set's rules and those that refer to it")
    run = commands.add_parser("eval", help="print what the rules at one hook do with a packet")
    for command in (fmt, render, explain, run):
        command.add_argument("file", metavar="FILE", help="the dump; - for standard input")
        command.add_argument("-6", "--ipv6", action="store_true", help="rules of ip6tables (default: found out)")
    explain.add_argument("name", metavar="NAME")
    _eval_options(run)
    return parser


def _eval_options(run: argparse.ArgumentParser) -> None:
    run.add_argument("--hook", required=True, type=str.upper, choices=[hook.name for hook in Hook])
    run.add_argument("--packet", required=True, metavar="PACKET", help="'tcp 10.0.0.1:1234 > 10.96.0.10:80'")
    run.add_argument("-i", "--in-interface", default="", metavar="NAME")
    run.add_argument("-o", "--out-interface", default="", metavar="NAME")
    run.add_argument("--mark", default="0", help="the packet's mark (0x… or decimal)")
    run.add_argument("--ct-state", default="NEW", type=str.upper, choices=evaluation.CT_STATES)
    run.add_argument("--ct-dnat", action="store_true", help="the connection's destination is translated")
    run.add_argument("--ct-snat", action="store_true", help="the connection's source is translated")
    run.add_argument("--local", action="append", default=[], metavar="[IFACE=]ADDR", help="an address of the host")
    run.add_argument("--table", default="", help="only this table's chain")


if __name__ == "__main__":
    raise SystemExit(main())
