"""Entry point: verbs are imported only when they run, errors become the contract's exit codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from io import StringIO, TextIOWrapper

import click

from netsim import __version__

VERBS: dict[str, str] = {
    "compile": "Print the rules that kube-proxy on a node would program, or an ingress controller's nginx.conf.",
    "diff": "List the flows that change between two proxy modes, with a witness each.",
    "dns": "Answer as the cluster's CoreDNS would, seen from a pod.",
    "explain": "Name the Service, field and manifest line behind a chain, set or rule.",
    "get": "Show the cluster as modelled, in kubectl's tables.",
    "lab": "Bring the cluster up as network namespaces with the kernel's rules.",
    "route": "Decide which backend an HTTP request reaches.",
    "trace": "Follow a packet or URL through every rule, there and back.",
    "validate": "Say what the API server would say of each object.",
    "why": "Say why a Service does not answer, and what to fix first.",
}


UNWRITABLE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
"""Errors of a standard output that takes no more."""


class Verbs(click.Group):
    """A group whose commands live in `netsim.cli.<verb>_verb.command`, imported on use (start-up stays fast)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"netsim.cli.{cmd_name}_verb").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from netsim.cli.proxy_flags import as_pflag

        name, command, rest = super().resolve_command(ctx, args)
        return name, command, as_pflag(rest)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="netsim")
def cli() -> None:
    """Kubernetes networking without the cluster: where does this packet go, and which rule decided it?"""


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; never raises for bad input."""
    from netsim.cli.terminal import complain, report_bug
    from netsim.errors import NetsimError

    try:
        return _invoke(arguments)
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        complain(_words_of(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except NetsimError as error:
        complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): not an error.
        return 0
    except OSError as error:
        if error.errno not in UNWRITABLE:
            return report_bug(error)
        complain(f"cannot write the answer: {error.strerror or error}")
        return 3
    except Exception as error:
        return report_bug(error)


def _invoke(arguments: list[str] | None) -> int:
    """Run the command and send what it printed on its way, while errors of writing still have their exit code."""
    from netsim.errors import UsageError

    for word in sys.argv[1:] if arguments is None else arguments:
        if not word.isprintable() and any("\ud800" <= c <= "\udfff" for c in word):
            raise UsageError(f"{word!r} is not UTF-8 text")
    result = cli.main(arguments, prog_name="netsim", standalone_mode=False)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _words_of(error: click.ClickException) -> str:
    """Return what click says of bad usage: its usage lines and the error."""
    shown = StringIO()
    error.show(shown)
    return shown.getvalue().rstrip("\n")


def main() -> None:
    """`netsim`: exit with the contract's code."""
    closed = _reopen_standard_streams()
    code = 3 if 1 in closed else run()
    if 1 in closed:
        print("cannot write the answer: standard output is closed", file=sys.stderr)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            # What could not be written is known already: the interpreter must not complain again when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.exit(code)


def _reopen_standard_streams() -> list[int]:
    """Return which of the file descriptors 0 to 2 were closed; they lead nowhere now: no file may take their place.

    Text on stdout is UTF-8 whatever the locale says.
    """
    closed = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            closed.append(os.open(os.devnull, os.O_RDWR))
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return closed
