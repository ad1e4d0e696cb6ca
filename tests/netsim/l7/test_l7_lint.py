"""Each of the linter's codes, with the line it points to."""

from __future__ import annotations

import textwrap

import pytest

from netsim.l7.findings import CODES
from netsim.l7.lint import lint
from netsim.l7.router import RouteOptions
from tests.netsim.l7.recorded import FILES, cluster_from, cluster_of, options_of, read

BASE = """\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.1.5], conditions: {ready: true}}]
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: cert, namespace: default, annotations: {netsim.test/cert-sans: covered.test}}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: default}
spec: {type: ExternalName, externalName: nowhere.example.com}
"""


def ingress(
    name: str, *paths: str, host: str = "a.test", annotations: str = "", extra: str = "", port: str = "80"
) -> str:
    """An Ingress whose paths are `TYPE PATH [SERVICE]`."""
    lines = []
    for path in paths:
        kind, text, *service = path.split()
        backend = f"{{service: {{name: {service[0] if service else 'web'}, port: {{number: {port}}}}}}}"
        backend = "{resource: {apiGroup: x.test, kind: Bucket, name: b}}" if service == ["resource"] else backend
        lines.append(f"      - {{path: '{text}', pathType: {kind}, backend: {backend}}}")
    prefix = "nginx.ingress.kubernetes.io/"
    notes = ", ".join(
        f"'{prefix}{part.partition('=')[0]}': '{part.partition('=')[2]}'" for part in annotations.split() if part
    )
    body = f"""\
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: default, annotations: {{{notes}}}}}
spec:
{extra or "  ingressClassName: nginx"}
  rules:
  - host: {host}
    http:
      paths:
"""
    return body + "\n".join(lines) + "\n"


CASES = [
    pytest.param(
        "NO_CLASS", ingress("t", "Prefix /", extra="  ingressClassName: nope"), "ingressClassName: nope", id="no class"
    ),
    pytest.param("NO_SERVICE", ingress("t", "Prefix / ghost"), "name: ghost", id="no Service"),
    pytest.param("NO_SERVICE_PORT", ingress("t", "Prefix /", port="81"), "number: 81", id="no port"),
    pytest.param("UNRESOLVED_EXTERNAL_NAME", ingress("t", "Prefix / outside"), "name: outside", id="an external name"),
    pytest.param("RESOURCE_BACKEND", ingress("t", "Prefix / resource"), "kind: Bucket", id="a resource backend"),
    pytest.param(
        "SAME_PATH", ingress("t", "Prefix /x") + ingress("u", "Prefix /x"), "path: '/x'", id="two Ingresses, one path"
    ),
    pytest.param("SAME_LOCATION", ingress("t", "Prefix /x", "Prefix /x/"), "path: '/x", id="two paths, one location"),
    pytest.param(
        "REGEX_HOST",
        ingress("t", "Prefix /x") + ingress("u", "Prefix /y", annotations="use-regex=true"),
        "'/x'",
        id="a regex host",
    ),
    pytest.param(
        "SHADOWED_PATH",
        ingress("t", "Prefix /a/bb", "Prefix /a/[a-z]+", annotations="use-regex=true"),
        "'/a/bb'",
        id="shadowed",
    ),
    pytest.param("EXACT_REDIRECTED", ingress("t", "Exact /x/"), "'/x/'", id="an Exact path with a slash"),
    pytest.param("BAD_PATTERN", ingress("t", "Prefix /(", annotations="use-regex=true"), "'/('", id="no pattern"),
    pytest.param(
        "BAD_ANNOTATION", ingress("t", "Prefix /", annotations="whitelist-source-range=x"), "name: t", id="no CIDR"
    ),
    pytest.param(
        "IGNORED_ANNOTATION",
        ingress("t", "Prefix /", annotations="app-root=https://x"),
        "app-root",
        id="app-root a URL",
    ),
    pytest.param(
        "SNIPPET_REFUSED", ingress("t", "Prefix /", annotations="server-snippet=x"), "server-snippet", id="a snippet"
    ),
    pytest.param("CANARY_ALONE", ingress("t", "Prefix /", annotations="canary=true"), "path: '/'", id="a canary alone"),
    pytest.param(
        "ALIAS_DROPPED", ingress("t", "Prefix /", annotations="server-alias=a.test"), "server-alias", id="an alias"
    ),
    pytest.param(
        "SHARED_UPSTREAM",
        ingress("u", "Prefix /x") + ingress("t", "Prefix /y", annotations="service-upstream=true"),
        "'/y'",
        id="settings of a younger Ingress",
    ),
    pytest.param(
        "NO_SECRET",
        ingress("t", "Prefix /", extra="  ingressClassName: nginx\n  tls: [{hosts: [a.test], secretName: gone}]"),
        "secretName: gone",
        id="no Secret",
    ),
    pytest.param(
        "CERTIFICATE_MISMATCH",
        ingress("t", "Prefix /", extra="  ingressClassName: nginx\n  tls: [{hosts: [a.test], secretName: cert}]"),
        "hosts: [a.test]",
        id="a certificate for another host",
    ),
    pytest.param(
        "HOST_WITHOUT_CERTIFICATE",
        ingress("t", "Prefix /", extra="  ingressClassName: nginx\n  tls: [{hosts: [covered.test], secretName: cert}]"),
        "host: a.test",
        id="a host in no tls entry",
    ),
]


@pytest.mark.parametrize(("code", "manifests", "line"), CASES)
def test_a_finding_points_to_its_line(code: str, manifests: str, line: str) -> None:
    text = BASE + manifests
    found = [one for one in lint(cluster_from(text)) if one.code == code]
    assert found, [str(one) for one in lint(cluster_from(text))]
    assert line in text.splitlines()[found[0].where.line - 1]


def test_the_winner_is_named_with_the_rule() -> None:
    text = BASE + ingress("aa", "Prefix /x") + ingress("zz", "Prefix /x")
    [found] = [one for one in lint(cluster_from(text)) if one.code == "SAME_PATH"]
    assert found.name == "aa"
    assert "Ingress default/zz" in found.message
    assert "equal creationTimestamp, and its namespace/name sorts later" in found.message


def test_a_clean_cluster_has_no_findings() -> None:
    assert lint(cluster_from(BASE + ingress("t", "Prefix /", "Exact /x"))) == ()


def test_the_spec_dialect_tells_equal_rules() -> None:
    text = textwrap.dedent(BASE) + ingress("aa", "Prefix /x") + ingress("zz", "Prefix /x")
    assert [one.code for one in lint(cluster_from(text), RouteOptions(dialect="spec"))] == ["SAME_PATH"]


RUNS = [
    pytest.param(path, dialect, id=f"{path.stem}-{dialect}") for path in FILES for dialect in read(path)["dialects"]
]


@pytest.mark.parametrize(("path", "dialect"), RUNS)
def test_every_recorded_cluster_can_be_linted(path: object, dialect: str) -> None:
    recorded = read(path)  # type: ignore[arg-type]
    if "manifests" in recorded:
        found = lint(cluster_of(recorded["manifests"]), options_of(recorded, dialect))
        assert all(one.code in CODES and one.where.file for one in found)
