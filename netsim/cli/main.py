"""Entry point: verbs are imported only when they run, errors become the contract's exit codes."""

from __future__ import annotations

import importlib
import os
import sys

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
    from netsim.cli.terminal import report_bug
    from netsim.errors import NetsimError

    try:
        result = cli.main(arguments, prog_name="netsim", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except NetsimError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): not an error, and the interpreter must not complain while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        return report_bug(error)


def main() -> None:
    """`netsim`: exit with the contract's code."""
    sys.exit(run())
