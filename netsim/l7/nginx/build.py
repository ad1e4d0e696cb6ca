"""From Ingresses to the table of ingress-nginx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from netsim.l7.controller import Controller
from netsim.l7.ingress import Ingress
from netsim.l7.nginx.annotations import Settings, Values, read_settings, settings_of
from netsim.l7.nginx.decide import ACME, NginxTable
from netsim.l7.nginx.merge import Merged, Ordered, merge, ordered_ingresses
from netsim.l7.nginx.servers import alias_patterns, build_servers, certificate_names, server_names
from netsim.l7.nginx.upstreams import create_upstreams
from netsim.l7.services import Services
from netsim.l7.tls import DEFAULT_CERTIFICATE, Certificate

_REDIRECT_CODES: Final = ("301", "302", "307", "308")


def order(handled: Iterable[Ingress], controller: Controller) -> Ordered:
    """Return the handled Ingresses with their settings in the order in which the controller merges them."""
    return ordered_ingresses((ingress, read_settings(ingress, controller.config)) for ingress in handled)


def merged_ingresses(ordered: Ordered, services: Services, controller: Controller) -> Merged:
    """Return servers' locations and upstreams of ordered Ingresses."""
    return merge(ordered, create_upstreams(ordered, services, controller), services, config_settings(controller))


def build_nginx(
    handled: Iterable[Ingress], services: Services, certificates: Mapping[str, Certificate], controller: Controller
) -> NginxTable:
    """Return the table of the handled Ingresses."""
    ordered = order(handled, controller)
    merged = merged_ingresses(ordered, services, controller)
    servers = build_servers(merged, ordered, certificates)
    config = controller.config
    code = config.get("http-redirect-code", "308")
    default = controller.flag("default-ssl-certificate")
    return NginxTable(
        servers=server_names(servers),
        all_servers=servers,
        upstreams=merged.upstreams,
        certificate_names=certificate_names(servers, certificates),
        controller=controller,
        default_certificate=default if default in certificates else DEFAULT_CERTIFICATE,
        redirect_code=int(code) if code in _REDIRECT_CODES else 308,
        no_redirect_paths=tuple(config.get("no-tls-redirect-locations", ACME).split(",")),
        hsts=_hsts(config),
        alias_patterns=alias_patterns(servers),
    )


def config_settings(controller: Controller) -> Settings:
    """Return the settings of a location that no Ingress configures: the ConfigMap's defaults."""
    return settings_of(Values({}, controller.config))


def _hsts(config: Mapping[str, str]) -> str:
    if config.get("hsts", "true") != "true":
        return ""
    age = config.get("hsts-max-age", "31536000")
    subdomains = "; includeSubDomains" if config.get("hsts-include-subdomains", "true") == "true" else ""
    preload = "; preload" if config.get("hsts-preload") == "true" else ""
    return f"max-age={age if age.isdigit() else '31536000'}{subdomains}{preload}"
