"""Certificates: what a TLS Secret covers, and which one a server presents."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netsim.cluster.model import Cluster
from netsim.cluster.read import labels_of, mapping, text
from netsim.manifests.objects import Manifest

SANS_ANNOTATION: Final = "netsim.test/cert-sans"
DEFAULT_CERTIFICATE: Final = "default"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of a Secret. `names` are its DNS names;

    `chain` and `key` are PEM texts, "" when the Secret holds no usable key material.
    """

    secret: str
    names: tuple[str, ...]
    chain: str = ""
    key: str = ""
    source: Manifest | None = None

    def covers(self, host: str) -> bool:
        """Whether the certificate is valid for a host name (RFC 6125: a wildcard stands for one whole label)."""
        wanted = host.lower()
        parent = "*." + wanted.partition(".")[2]
        return any(name.lower() in (wanted, parent) for name in self.names)


def read_certificates(cluster: Cluster) -> Mapping[str, Certificate]:
    """Return the usable certificates of all Secrets by `ns/name`; a Secret without certificate is not among them."""
    found = (read_certificate(manifest) for manifest in cluster.objects.get("Secret", ()))
    return {certificate.secret: certificate for certificate in found if certificate is not None}


def read_certificate(manifest: Manifest) -> Certificate | None:
    """Return the certificate of a Secret, None when it has neither tls.crt and tls.key nor the test annotation."""
    key = f"{manifest.namespace or 'default'}/{manifest.name}"
    chain, private = _decoded(manifest, "tls.crt"), _decoded(manifest, "tls.key")
    sans = labels_of(mapping(manifest.data.get("metadata")).get("annotations")).get(SANS_ANNOTATION)
    if sans is not None:
        names = tuple(name.strip() for name in sans.split(",") if name.strip())
        return Certificate(key, names, chain, private, manifest)
    if not chain or not private:
        return None
    names_of_chain = dns_names(chain)
    if names_of_chain is None:
        return None
    return Certificate(key, names_of_chain, chain, private, manifest)


def _decoded(manifest: Manifest, key: str) -> str:
    plain = text(mapping(manifest.data.get("stringData")).get(key))
    if plain:
        return plain
    try:
        raw = base64.b64decode(text(mapping(manifest.data.get("data")).get(key)), validate=True)
        return raw.decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def dns_names(chain: str) -> tuple[str, ...] | None:
    """Return the DNS names (else the common name) of the first certificate of a PEM chain, None when it is none."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(chain.encode("ascii"))
    except ValueError:
        return None
    try:
        sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return tuple(sans.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value) for name in names)
