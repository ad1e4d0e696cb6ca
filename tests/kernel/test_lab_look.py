"""Looking into a lab: the kernel's rules beside the model's, captures, what failed, nginx and health checks."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.lab_support import NETSIM, TOPOLOGIES, netsim

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab `shop` that tests share which only look."""
    folder = tmp_path_factory.mktemp("shared") / "labs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STATE", str(folder))
        up("shop", "shop")
        yield folder
        netsim("lab", "down", "shop")


@pytest.fixture
def shop(shop_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the lab that tests share."""
    monkeypatch.setenv("NETSIM_STATE", str(shop_folder))
    return "shop"


def up(name: str, topology: str, mode: str = "iptables") -> None:
    netsim("lab", "up", name, "-q", "-f", str(TOPOLOGIES / topology), "--proxy-mode", mode)


@pytest.mark.usefixtures("own_state")
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_every_rule_that_the_kernel_traces_is_the_models(mode: str) -> None:
    up("rules", "dual-stack", mode)
    done = netsim("lab", "verify", "rules", "-o", "json", "--rules")
    answer = json.loads(done.stdout)
    assert {finding["result"] for finding in answer["findings"]} == {"agree"}
    assert answer["rules"]["differ"] == []
    assert answer["rules"]["packets"] == len(answer["findings"]) > 40
    assert answer["rules"]["steps"] > 8 * answer["rules"]["packets"]


@pytest.mark.usefixtures("own_state")
def test_a_trace_shows_both_sides_and_a_stranger_rule_is_a_difference() -> None:
    up("one", "shop")
    same = netsim("lab", "trace", "one", "pod/shop/frontend-0", "svc/shop/api:80")
    assert "= nat KUBE-SERVICES: JUMP KUBE-SVC-" in same.stdout
    assert "kernel and model agree" in same.stdout
    rule = "iptables -t nat -I KUBE-SERVICES -d 10.96.20.1 -j RETURN"
    netsim("lab", "exec", "one", "node/node-1", "--", *rule.split())
    other = netsim("lab", "trace", "one", "pod/shop/frontend-0", "svc/shop/api:80", code=1)
    assert "kernel only: nat KUBE-SERVICES: RETURN | -d 10.96.20.1/32 -j RETURN" in other.stdout
    assert "model only: nat KUBE-SERVICES: JUMP KUBE-SVC-" in other.stdout
    answer = json.loads(
        netsim("lab", "trace", "one", "pod/shop/frontend-0", "svc/shop/api:80", "-o", "json", code=1).stdout
    )
    assert (answer["agree"], answer["observed"]) == (False, "SILENCE")
    assert {step["side"] for node in answer["nodes"] for step in node["steps"]} == {"both", "kernel", "model"}
    left = netsim("lab", "exec", "one", "node/node-1", "--", "nft", "list", "tables").stdout
    assert "netsim" not in left


def test_a_trace_knows_whom_the_affinity_tables_remember(shop: str) -> None:
    for _ in range(2):
        done = netsim("lab", "trace", shop, "node/node-2", "svc/shop/frontend:80")
    assert "-m recent --rcheck" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("pod/shop/none-9", "svc/shop/api:80"), "pod/shop/none-9", id="no-such-pod"),
        pytest.param(("pod/shop/frontend-0", "svc/shop/none:80"), "none", id="no-such-service"),
        pytest.param(("pod/shop/frontend-0", "nowhere.example.com:80"), "does not resolve", id="no-such-name"),
    ],
)
def test_words_that_name_nothing_are_a_usage_error(shop: str, words: tuple[str, str], said: str) -> None:
    assert said in netsim("lab", "trace", shop, *words, code=2).stderr


def test_a_capture_is_a_file_that_tcpdump_reads_and_lines_for_people(shop: str, tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    command = (*NETSIM, "lab", "capture", shop, "pod/shop/frontend-0", "-w", str(file), "--seconds", "2.5")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as listening:
        assert listening.stderr
        assert "capturing in pod/shop/frontend-0" in listening.stderr.readline()
        netsim("lab", "exec", shop, "pod/shop/frontend-0", "--", "curl", "-s", "http://10.96.20.1/")
        assert listening.wait(10) == 0
    read = subprocess.run(["tcpdump", "-nr", str(file)], capture_output=True, text=True, check=True).stdout
    assert "10.96.20.1.80: Flags [S]" in read
    command = (*NETSIM, "lab", "capture", shop, "node/node-1", "--count", "3")
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stderr
        listening.stderr.readline()
        netsim("lab", "exec", shop, "pod/shop/frontend-0", "--", "curl", "-s", "http://10.96.20.1/")
        said, _ = listening.communicate(timeout=10)
    assert len(said.splitlines()) == 3


def test_what_failed_is_kept_when_asked(own_state: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "iptables-restore").write_text("#!/bin/sh\necho 'no such table' >&2\nexit 2\n")
    (tools / "iptables-restore").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = (*NETSIM, "lab", "up", "bad", "-q", "--keep", "-v", "-f", str(TOPOLOGIES / "shop"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert "no such table; what came up is kept" in done.stderr
    assert "loading rules of node/node-1\n" in done.stderr
    assert "Failed" in netsim("lab", "ls").stdout
    assert "192.168.10.1/24" in netsim("lab", "exec", "bad", "node-1", "--", "ip", "address").stdout
    netsim("lab", "down", "bad")
    assert list(own_state.iterdir()) == []


def test_nginx_answers_for_the_ingress_behind_its_load_balancer(shop: str) -> None:
    def ask(url: str) -> dict[str, object]:
        done = netsim("lab", "exec", shop, "external", "--", "curl", "-s", "-k", "-m", "3", url)
        return dict(json.loads(done.stdout))

    assert str(ask("http://shop.example.com/api/items")["pod"]).startswith("pod/shop/api-")
    assert str(ask("http://shop.example.com/")["pod"]).startswith("pod/shop/frontend-")
    assert str(ask("https://shop.example.com/")["pod"]).startswith("pod/shop/frontend-")
    node_port = node_port_of(shop)
    words = ("curl", "-s", "-m", "3", "-H", "Host: shop.example.com", f"http://192.168.10.3:{node_port}/api")
    assert "pod/shop/api-" in netsim("lab", "exec", shop, "external", "--", *words).stdout
    missing = netsim("lab", "exec", shop, "external", "--", "curl", "-s", "-i", "http://203.0.113.80/nowhere")
    assert missing.stdout.startswith("HTTP/1.1 404")


@pytest.mark.usefixtures("own_state")
def test_a_host_network_controller_answers_in_both_families() -> None:
    manifests = str(Path(__file__).parent / "data" / "host-network-controller.yaml")
    netsim("lab", "up", "dual", "-q", "-f", manifests)
    curl = ("curl", "-s", "-k", "-m", "3")
    for client, address in (("external", "203.0.113.7"), ("external/2001:db8:51::10", "[2001:db8:ff::7]")):
        words = ("--connect-to", f"web.example.com:443:{address}:443", "https://web.example.com/")
        answer = netsim("lab", "exec", "dual", client, "--", *curl, *words)
        assert json.loads(answer.stdout)["pod"].startswith("pod/default/web-")
        redirect = netsim(
            "lab", "exec", "dual", client, "--", *curl, "-i", "-H", "Host: web.example.com", f"http://{address}/"
        )
        assert redirect.stdout.startswith("HTTP/1.1 308")
    netsim("lab", "verify", "dual", "--random", "40", "--seed", "1")


def node_port_of(name: str) -> int:
    folder = Path(os.environ["NETSIM_STATE"]) / name
    done = netsim("get", "services", "-n", "ingress-nginx", "-q", "-f", str(folder / "cluster.json"), "-o", "json")
    (service,) = json.loads(done.stdout)["items"]
    return int(service["spec"]["ports"][0]["nodePort"])


@pytest.mark.parametrize(("node", "status", "count"), [(1, "200 OK", 1), (3, "503 Service Unavailable", 0)])
def test_health_checks_answer_by_local_endpoints(shop: str, node: int, status: str, count: int) -> None:
    url = f"http://192.168.10.{node}:31234/"
    done = netsim("lab", "exec", shop, "external", "--", "curl", "-s", "-i", "-m", "3", url)
    head, _, body = done.stdout.partition("\n\n")
    assert head.startswith(f"HTTP/1.1 {status}")
    assert json.loads(body)["localEndpoints"] == count


@pytest.mark.usefixtures("own_state")
def test_apply_moves_the_ingress_and_the_health_check() -> None:
    up("moving", "shop")
    what_if = ("--not-ready", "pod/shop/frontend-0")
    netsim("lab", "apply", "moving", "-q", "-f", str(TOPOLOGIES / "shop"), *what_if)
    done = netsim("lab", "exec", "moving", "external", "--", "curl", "-s", "-m", "3", "http://192.168.10.1:31234/")
    assert json.loads(done.stdout)["localEndpoints"] == 0
    for _ in range(4):
        url = "http://shop.example.com/"
        done = netsim("lab", "exec", "moving", "external", "--", "curl", "-s", "-m", "3", url)
        assert json.loads(done.stdout)["pod"] == "pod/shop/frontend-1"
    netsim("lab", "verify", "moving", "--random", "40", "--seed", "3")
