"""`netsim get`: tables, names, JSON and YAML, what is missing, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from netsim.cli.main import cli, run

ROOT = Path(__file__).parents[3]
SHOP = str(ROOT / "topologies" / "shop")
WORKLOADS = str(ROOT / "topologies" / "workloads")
BROKEN = str(ROOT / "topologies" / "broken")


def get(*words: str, source: str = SHOP) -> Result:
    return CliRunner().invoke(cli, ["get", *words, "-f", source], standalone_mode=False)


def lines(*words: str, source: str = SHOP) -> list[str]:
    result = get(*words, "-q", source=source)
    assert result.exception is None, result.exception
    return result.stdout.splitlines()


def test_services_in_kubectls_table() -> None:
    assert lines("svc", "-n", "shop") == [
        "NAME         TYPE           CLUSTER-IP   EXTERNAL-IP       PORT(S)           AGE",
        "api          ClusterIP      10.96.20.1   <none>            80/TCP,8125/UDP   <unknown>",
        "db           ClusterIP      None         <none>            5432/TCP          <unknown>",
        "frontend     NodePort       10.96.20.2   <none>            80:30080/TCP      <unknown>",
        "legacy       ClusterIP      10.96.20.4   <none>            80/TCP            <unknown>",
        "payments     ExternalName   <none>       pay.example.com   <none>            <unknown>",
        "storefront   LoadBalancer   10.96.20.3   203.0.113.10      80:30090/TCP      <unknown>",
    ]


def test_wide_shows_more_and_all_namespaces_adds_a_column() -> None:
    header = lines("pods", "-A", "-o", "wide")[0]
    want = "NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"
    assert " ".join(header.split()) == want


def test_several_kinds_have_a_table_each_with_qualified_names() -> None:
    found = lines("no,deploy,sts", source=WORKLOADS)
    assert [line.split()[0] for line in found if line and not line.startswith("NAME")] == [
        "node/node-1",
        "node/node-2",
        "deployment.apps/frontend",
        "statefulset.apps/db",
    ]


def test_workloads_count_their_pods() -> None:
    assert lines("deployments", source=WORKLOADS)[1].split()[:4] == ["frontend", "2/2", "2", "2"]
    assert lines("ds", source=WORKLOADS)[1].split()[:6] == ["agent", "2", "2", "2", "2", "2"]


def test_names() -> None:
    assert lines("ing,eps", "-n", "shop", "-o", "name")[0] == "ingress.networking.k8s.io/shop"
    assert "service/api" in lines("all", "-n", "shop", "-o", "name")


def test_json_is_a_list_sorted_and_stable() -> None:
    once, twice = (get("svc", "api", "-n", "shop", "-o", "json").stdout for _ in range(2))
    assert once == twice
    found = json.loads(once)
    assert (found["kind"], [item["metadata"]["name"] for item in found["items"]]) == ("List", ["api"])
    assert list(found) == sorted(found)


def test_yaml_reads_back_to_the_same_objects() -> None:
    text = get("po,svc,eps,no", "-A", "-o", "yaml").stdout
    data = get("po,svc,eps,no", "-A", "-o", "json").stdout
    assert yaml.safe_load(text) == json.loads(data)


def test_kind_slash_name() -> None:
    assert lines("svc/api", "-n", "shop")[1].startswith("api ")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(("svc", "nope", "-n", "shop"), 1, '(NotFound): services "nope" not found', id="no such name"),
        pytest.param(("gizmos",), 2, 'doesn\'t have a resource type "gizmos"', id="no such kind"),
        pytest.param(("svc", "-n", "empty"), 0, "No resources found in empty namespace.", id="nothing there"),
        pytest.param((), 2, "Missing argument", id="no kind"),
    ],
)
def test_what_is_missing(words: tuple[str, ...], code: int, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["get", *words, "-f", SHOP]) == code
    captured = capfd.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_what_if_changes_the_answer() -> None:
    pod = json.loads(get("po", "api-0", "-n", "shop", "-o", "json", "--not-ready", "shop/api-0").stdout)["items"][0]
    assert pod["metadata"]["name"] == "api-0"
    table = lines("po", "-n", "shop", "--not-ready", "shop/api-0")
    assert next(line for line in table if line.startswith("api-0")).split()[1] == "0/1"
    table = lines("po", "-n", "shop", "--terminating", "shop/api-0", "--phase", "shop/api-1=Failed")
    assert [line.split()[2] for line in table[1:3]] == ["Terminating", "Error"]


MANY = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce, ReadOnlyMany]
  storageClassName: fast
  hostPath: {path: /d}
  claimRef: {namespace: default, name: c}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: x.io/y
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec:
  podSelector:
    matchLabels: {a: b}
    matchExpressions: [{key: k, operator: In, values: [y, x]}, {key: z, operator: DoesNotExist}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx, parameters: {apiGroup: x.io, kind: P, name: p}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {a: "1", b: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {a: "1"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cj}
spec:
  schedule: "0 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}
---
apiVersion: v1
kind: Endpoints
metadata: {name: e}
subsets: [{addresses: [{ip: 10.0.0.1}, {ip: "fd00::1"}], ports: [{port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: kubernetes}
spec: {cidrs: [10.96.0.0/16]}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: "w\\e[31m"}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i}
spec: {tls: [{hosts: [a.example]}], defaultBackend: {service: {name: x, port: {number: 80}}}}
"""


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("pv", ["pv", "1Gi", "RWO,ROX", "Retain", "Pending", "default/c", "fast", "<unset>", "<unknown>"]),
        ("sc", ["fast", "(default)", "x.io/y", "Delete", "Immediate", "false", "<unknown>"]),
        ("pvc", ["c", "Pending", "RWO", "<unset>", "<unknown>"]),
        ("netpol", ["np", "a=b,k", "in", "(x,y),!z", "<unknown>"]),
        ("ingressclass", ["nginx", "k8s.io/ingress-nginx", "P.x.io/p", "<unknown>"]),
        ("cm", ["cm", "2", "<unknown>"]),
        ("secrets", ["s", "Opaque", "1", "<unknown>"]),
        ("cj", ["cj", "0", "*", "*", "*", "*", "<none>", "False", "0", "<none>", "<unknown>"]),
        ("jobs", ["j", "Complete", "1/1", "<unknown>"]),
        ("ep", ["e", "10.0.0.1:80,[fd00::1]:80", "<unknown>"]),
        ("servicecidrs", ["kubernetes", "10.96.0.0/16", "<unknown>"]),
        ("widgets", ["w\\x1b[31m", "<unknown>"]),
        ("ing", ["i", "<none>", "*", "80,", "443", "<unknown>"]),
        ("ns", ["default", "Active", "<unknown>"]),
    ],
)
def test_cells(kind: str, want: list[str], tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(MANY)
    assert lines(kind, source=str(file))[1].split() == want


def test_a_pods_status_is_its_containers_reason() -> None:
    assert lines("po", "slow-0", source=BROKEN)[1].split()[:4] == ["slow-0", "0/1", "Running", "0"]
