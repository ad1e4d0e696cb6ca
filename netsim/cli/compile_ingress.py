"""`netsim compile --ingress`: the nginx configuration of an ingress class, on stdout or as files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from netsim.cli.outdir import stage_files
from netsim.cli.session import Session
from netsim.errors import UsageError
from netsim.l7 import compile_ingress


def print_or_write(session: Session, params: Mapping[str, Any]) -> int:
    """Print the class's nginx.conf, or write DIR/ingress/CLASS/nginx.conf and its certificates for every class."""
    if params["output"] is not None:
        raise UsageError(f"-o {params['output']}: --ingress prints nginx.conf only")
    compiled = compile_ingress(session.cluster, params["ingress_class"])
    session.note(note for found in compiled.values() for note in found.notes)
    if params["out_dir"]:
        with stage_files(params["out_dir"]) as write:
            for name, found in compiled.items():
                for path, text in found.files.items():
                    write(("ingress", name, *path.split("/")), text)
        return 0
    if len(compiled) > 1:
        raise UsageError(
            f"{len(compiled)} classes ({', '.join(compiled)}): choose one (--class CLASS), or use --out-dir"
        )
    [found] = compiled.values()
    sys.stdout.write(found.files["nginx.conf"])
    return 0
