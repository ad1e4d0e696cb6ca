"""Certificate files: a Secret's own key material where it is usable, else a placeholder made from its name."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from netsim.l7.tls import Certificate

DEFAULT_NAMES: Final = ("ingress.local",)
_FROM: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_UNTIL: Final = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its private key as PEM text; `placeholder`: netsim made them."""

    chain: str
    key: str
    placeholder: bool


def pair_of(certificate: Certificate | None, name: str) -> Pair:
    """Return a Secret's chain and key when they belong together, else a placeholder for its names."""
    if certificate is not None and certificate.chain and _belong(certificate.chain, certificate.key):
        return Pair(certificate.chain, certificate.key, placeholder=False)
    return placeholder(name, certificate.names if certificate else DEFAULT_NAMES)


def _belong(chain: str, key: str) -> bool:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        public = x509.load_pem_x509_certificates(chain.encode())[0].public_key()
        private = load_pem_private_key(key.encode(), None).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return public.public_bytes(*form) == private.public_bytes(*form)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def placeholder(name: str, names: Iterable[str]) -> Pair:
    """Return a self-signed Ed25519 certificate of *names*; the same input gives the same bytes."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    seed = hashlib.sha256(f"netsim placeholder {name}".encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(seed)
    subject = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "netsim placeholder certificate"),
        x509.NameAttribute(NameOID.COMMON_NAME, name[:64]),
    ])  # fmt: skip
    sans = [x509.DNSName(host) for host in names if _dns_name(host)] or [x509.DNSName(DEFAULT_NAMES[0])]
    builder = x509.CertificateBuilder(subject, subject, key.public_key()).serial_number(
        int.from_bytes(seed[:8], "big") >> 1
    )
    builder = builder.not_valid_before(_FROM).not_valid_after(_UNTIL)
    signed = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False).sign(key, None)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(signed.public_bytes(Encoding.PEM).decode(), private.decode(), placeholder=True)


def _dns_name(host: str) -> bool:
    return host.isascii() and 0 < len(host) <= 253 and not any(character.isspace() for character in host)
