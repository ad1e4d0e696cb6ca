"""The controller's settings from its Deployment, its ConfigMap and the command line; classes; where it is reached."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.errors import UsageError
from netsim.l7 import compile_ingress
from netsim.l7.classes import spec_handling
from netsim.l7.controller import read_flags
from netsim.l7.frontend import addresses_of, find
from netsim.l7.ingress import ingress_classes, ingresses
from netsim.l7.request import from_url
from netsim.l7.router import RouteOptions, build_routers, decide, unhandled
from tests.netsim.l7.recorded import cluster_from

CONTROLLER = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: own}
spec: {controller: example.com/own}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}}
  template:
    metadata: {labels: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}}
    spec:
      containers:
      - name: controller
        image: registry.k8s.io/ingress-nginx/controller:v1.15.1
        args:
        - /nginx-ingress-controller
        - --controller-class=example.com/own
        - --ingress-class=own
        - --watch-ingress-without-class
        - --configmap=$(POD_NAMESPACE)/ingress-nginx-controller
        ports: [{name: http, containerPort: 80}, {name: https, containerPort: 443}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {http-redirect-code: "301", force-ssl-redirect: "true"}
---
apiVersion: v1
kind: Service
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
spec:
  type: LoadBalancer
  selector: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}
  ports: [{name: http, port: 80, targetPort: http}, {name: https, port: 443, targetPort: https}]
---
apiVersion: v1
kind: Service
metadata: {name: ingress-nginx-controller-admission, namespace: ingress-nginx}
spec:
  selector: {app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: controller}
  ports: [{name: https-webhook, port: 8443, targetPort: webhook}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: classless, namespace: shop}
spec:
  rules:
  - host: shop.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
status: {loadBalancer: {ingress: [{ip: 198.51.100.4}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: foreign, namespace: shop}
spec:
  ingressClassName: other
  rules:
  - host: foreign.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""


def test_flags_and_config_come_from_the_workload() -> None:
    cluster = cluster_from(CONTROLLER)
    answer = decide(
        build_routers(cluster, RouteOptions(class_name="own", dialect="ingress-nginx")), from_url("http://shop.test/x")
    )
    assert (answer.decision.status, answer.decision.location) == (301, "https://shop.test/x")
    assert answer.router.controller.flags["ingress-class"] == "own"
    assert (
        answer.router.handlings["shop/classless"].reason
        == "--watch-ingress-without-class takes Ingresses without any class"
    )


def test_the_command_line_overrides_the_workload() -> None:
    cluster = cluster_from(CONTROLLER)
    options = RouteOptions(
        dialect="ingress-nginx",
        class_name="own",
        flags={"watch-ingress-without-class": "false"},
        config={"http-redirect-code": "307"},
    )
    answer = decide(build_routers(cluster, options), from_url("http://shop.test/x"))
    assert answer.decision.status == 404
    assert unhandled([answer.router])["shop/classless"] == "it names no class (--watch-ingress-without-class is off)"


def test_an_ingress_of_another_controller_says_whose_it_is() -> None:
    routers = build_routers(cluster_from(CONTROLLER), RouteOptions(class_name="own", dialect="ingress-nginx"))
    assert (
        unhandled(routers)["shop/foreign"]
        == "IngressClass other belongs to controller example.com/other, not example.com/own"
    )


def test_the_controllers_service_and_pods_are_found() -> None:
    cluster = cluster_from(CONTROLLER)
    [router] = build_routers(cluster, RouteOptions(class_name="own", dialect="ingress-nginx"))
    front = find(cluster, router)
    assert [service.name for service in front.services] == ["ingress-nginx-controller"]
    assert {pod.namespace for pod in front.pods} == {"ingress-nginx"}
    assert (front.scheme(80), front.scheme(443), front.scheme(8443)) == ("http", "https", "")
    assert front.note is None
    matched = decide([router], from_url("http://shop.test/")).decision.matched
    assert addresses_of(matched) == ("198.51.100.4",)


def test_without_a_workload_a_proxy_is_assumed_with_a_note() -> None:
    text = "\n---\n".join(part for part in CONTROLLER.split("\n---\n") if "ingress-nginx" not in part)
    cluster = cluster_from(text)
    [router] = build_routers(cluster, RouteOptions(class_name="own", dialect="ingress-nginx"))
    front = find(cluster, router)
    assert (front.services, front.pods, front.assumed) == ((), (), True)
    assert front.note is not None
    assert front.note.code == "CONTROLLER_ASSUMED"


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--a=b"], {"a": "b"}),
        (["--a", "b"], {"a": "b"}),
        (["-a"], {"a": "true"}),
        (["--a", "--b=c=d"], {"a": "true", "b": "c=d"}),
        (["--a="], {"a": ""}),
    ],
)
def test_flags_are_read_as_pflag_reads_them(words: list[str], flags: dict[str, str]) -> None:
    assert read_flags(words) == flags


def test_an_unknown_flag_is_a_note() -> None:
    [router] = build_routers(
        cluster_from(CONTROLLER), RouteOptions(dialect="ingress-nginx", flags={"no-such-flag": "1"})
    )
    assert [(note.code, note.text) for note in router.notes if note.code == "UNKNOWN_CONTROLLER_FLAG"] == [
        ("UNKNOWN_CONTROLLER_FLAG", "ignored: no-such-flag")
    ]


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match="one of spec, ingress-nginx"):
        build_routers(cluster_from(CONTROLLER), RouteOptions(dialect="nginx"))


@pytest.mark.parametrize(
    ("spec", "annotation", "only", "handled"),
    [
        pytest.param({"ingressClassName": "a"}, None, "", True, id="the class exists"),
        pytest.param({"ingressClassName": "z"}, None, "", False, id="the class does not exist"),
        pytest.param({"ingressClassName": "a"}, None, "b", False, id="only another class is asked for"),
        pytest.param({}, "b", "", True, id="the annotation names a class"),
        pytest.param({}, None, "", True, id="a default class takes it"),
        pytest.param({}, None, "b", False, id="the default class is not the one asked for"),
        pytest.param({"ingressClassName": "z"}, "a", "", False, id="the field counts before the annotation"),
    ],
)
def test_the_specification_alone_decides_who_handles(
    spec: dict[str, Any], annotation: str | None, only: str, handled: bool
) -> None:
    metadata = f"{{name: i, annotations: {{kubernetes.io/ingress.class: {annotation}}}}}" if annotation else "{name: i}"
    text = f"""
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {{name: a, annotations: {{ingressclass.kubernetes.io/is-default-class: "true"}}}}
    spec: {{controller: x.test/a}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: IngressClass
    metadata: {{name: b}}
    spec: {{controller: x.test/b}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {metadata}
    spec: {{{", ".join(f"{key}: {value}" for key, value in spec.items())}}}
    """
    cluster = cluster_from(text)
    [ingress] = ingresses(cluster)
    assert spec_handling(ingress, ingress_classes(cluster), only).handled is handled


def test_a_configuration_is_written_for_each_class_of_a_controller() -> None:
    compiled = compile_ingress(cluster_from(CONTROLLER))
    assert list(compiled) == ["own"]
    assert 'server_name "shop.test";' in compiled["own"].files["nginx.conf"]
    assert "return 301 https://$host$uri_without_slash;" in compiled["own"].files["nginx.conf"]
    assert "foreign.test" in compile_ingress(cluster_from(CONTROLLER), "other")["other"].files["nginx.conf"]
    with pytest.raises(UsageError, match="names no IngressClass"):
        compile_ingress(cluster_from(CONTROLLER), "nope")
