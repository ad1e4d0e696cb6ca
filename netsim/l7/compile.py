"""The nginx configuration of ingress classes, as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from netsim.cluster.model import Cluster
from netsim.errors import UsageError
from netsim.l7.conf.build import Target, compile_table
from netsim.l7.conf.render import render
from netsim.l7.controller import NGINX_CONTROLLER, nginx_workloads
from netsim.l7.ingress import ingress_classes
from netsim.l7.nginx.decide import NginxTable
from netsim.l7.router import RouteOptions, build_routers
from netsim.l7.tls import read_certificates
from netsim.notes import Note


@dataclass(frozen=True, slots=True)
class IngressFiles:
    """The files of one class by relative name: nginx.conf and certs/…; and what could not be written into them."""

    files: Mapping[str, str]
    notes: tuple[Note, ...] = ()


def compile_classes(
    cluster: Cluster, class_name: str = "", options: RouteOptions | None = None, target: Target | None = None
) -> Mapping[str, IngressFiles]:
    """Return the files of each class that ingress-nginx handles, or of *class_name* alone; raise UsageError if unknown.

    Classes of one controller share one configuration, as the controller serves them from one nginx.
    """
    options = replace(options or RouteOptions(), class_name=class_name)
    names = _class_names(cluster, class_name)
    return {
        name: _compile(
            cluster, replace(options, class_name=name if name in ingress_classes(cluster) else ""), name, target
        )
        for name in names
    }


def _class_names(cluster: Cluster, class_name: str) -> tuple[str, ...]:
    classes = ingress_classes(cluster)
    if class_name:
        if classes and class_name not in classes:
            raise UsageError(
                f"--class {class_name!r} names no IngressClass of the input (there: {', '.join(sorted(classes))})"
            )
        return (class_name,)
    controllers = {flags.get("controller-class", NGINX_CONTROLLER) for _, flags in nginx_workloads(cluster)}
    own = sorted(name for name, found in classes.items() if found.controller in {NGINX_CONTROLLER, *controllers})
    return tuple(own or sorted(classes)) or ("nginx",)


def _compile(cluster: Cluster, options: RouteOptions, name: str, target: Target | None) -> IngressFiles:
    (router,) = build_routers(cluster, replace(options, dialect="ingress-nginx"))
    table = router.table
    assert isinstance(table, NginxTable)
    compiled = compile_table(table, read_certificates(cluster), f"Ingress class {name}, written by netsim", target)
    files = {"nginx.conf": render(compiled.view)}
    for stem, pair in sorted(compiled.certificates.items()):
        files[f"certs/{stem}.crt"] = pair.chain
        files[f"certs/{stem}.key"] = pair.key
    notes = (*router.notes, *compiled.notes, *_placeholders(compiled.certificates))
    return IngressFiles(files, notes)


def _placeholders(certificates: Mapping[str, object]) -> tuple[Note, ...]:
    made = [stem for stem, pair in sorted(certificates.items()) if getattr(pair, "placeholder", False)]
    text = f"no key material in the input for {', '.join(made)}: self-signed certificates stand in"
    return (Note("PLACEHOLDER_CERTIFICATE", text),) if made else ()
