"""The certificate that a proxy presents to a URL's client, and whether it covers the name that the client dialled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netsim.l7.decision import Decision
from netsim.l7.request import Request
from netsim.l7.router import Router
from netsim.l7.tls import DEFAULT_CERTIFICATE, Certificate
from netsim.trace.answer import Hint


@dataclass(frozen=True, slots=True)
class Presented:
    """What a TLS client is shown: the Secret (`ns/name`, or `default`), its names, and whether they cover the host.

    `sni` is the server name that the client sends, None for a URL with an address.
    """

    secret: str
    names: tuple[str, ...]
    sni: str | None
    covers: bool

    @property
    def text(self) -> str:
        """Return the line of a trace that says so."""
        asked = f"SNI {self.sni}" if self.sni else "no SNI"
        whose = "the controller's default certificate" if self.secret == DEFAULT_CERTIFICATE else self.secret
        names = f" ({', '.join(self.names[:3])}{' …' if len(self.names) > 3 else ''})" if self.names else ""
        return f"{asked}: {whose}{names} {'covers' if self.covers else 'does not cover'} the host"

    def as_json(self) -> dict[str, Any]:
        """Return `secret`, `names`, `sni` and `covers`."""
        return {"secret": self.secret, "names": list(self.names), "sni": self.sni, "covers": self.covers}


def presented(
    decision: Decision, request: Request, router: Router, certificates: Mapping[str, Certificate]
) -> Presented | None:
    """Return what the client is shown, None when the proxy does not end TLS."""
    if not isinstance(decision.tls, Mapping) or not request.secure:
        return None
    secret = str(decision.tls.get("secret") or DEFAULT_CERTIFICATE)
    own = router.controller.flag("default-ssl-certificate") if secret == DEFAULT_CERTIFICATE else secret
    certificate = certificates.get(own)
    name = request.server_name
    sni = None if name.startswith("[") or name.replace(".", "").isdigit() else name
    covers = certificate is not None and certificate.covers(name)
    return Presented(secret, certificate.names if certificate else (), sni, covers)


def mismatch(shown: Presented) -> Hint:
    """Return the hint for a client that checks certificates."""
    return Hint("CERTIFICATE_MISMATCH", f"{shown.text}: a client that checks certificates refuses the connection")
