"""`netsim compile`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from netsim.cli.main import run

Capture = pytest.CaptureFixture[str]


def node(name: str, last: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDR": f"10.244.{last}.0/24", "podCIDRs": [f"10.244.{last}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"192.168.10.{last}"}]},
    }


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    given = {"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ipFamilies": ["IPv4"], "ports": ports}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "ClusterIP", **given, **spec},
    }


def endpoint_slice(*addresses: str, name: str = "web") -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "nodeName": "node-1"} for address in addresses],
    }


def write(directory: Path, *objects: dict[str, Any], name: str = "input.yaml") -> str:
    path = directory / name
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return str(path)


@pytest.fixture
def one(tmp_path: Path) -> str:
    return write(tmp_path, node("node-1"), service(), endpoint_slice("10.244.1.5", "10.244.1.6"))


@pytest.fixture
def two(tmp_path: Path) -> str:
    objects = node("node-1"), node("node-2", 2), service(), endpoint_slice("10.244.1.5", "10.244.1.6")
    return write(tmp_path, *objects)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_the_only_node_need_not_be_named(one: str, capsys: Capture) -> None:
    assert run(["compile", "-f", one]) == 0
    text = capsys.readouterr().out
    assert text.startswith("*filter\n:KUBE-SERVICES - [0:0]\n")
    assert text.endswith("COMMIT\n")
    assert '-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" -m tcp -p tcp -d 10.96.0.10' in text


@pytest.mark.parametrize(
    ("words", "want"),
    [
        pytest.param(["--family", "ipv6"], "! -d ::1/128 -j KUBE-NODEPORTS", id="the other family"),
        pytest.param(["-o", "save"], "-A PREROUTING -m comment --comment", id="the saved ruleset"),
        pytest.param(["--no-nfacct"], "-m conntrack --ctstate INVALID -j DROP", id="a kernel without nfacct"),
        pytest.param(["--masquerade-all"], "--dport 80 -j KUBE-MARK-MASQ", id="a boolean flag"),
        pytest.param(["--cluster-cidr=10.244.0.0/16"], "! -s 10.244.0.0/16 -j KUBE-MARK-MASQ", id="a flag with a word"),
        pytest.param(["--proxy-mode", "nftables"], "add table ip kube-proxy", id="nftables"),
        pytest.param(["--proxy-mode", "nftables", "--family", "ipv6"], "add table ip6 kube-proxy", id="nftables ipv6"),
    ],
)
def test_stdout_is_one_programs_input(words: list[str], want: str, one: str, capsys: Capture) -> None:
    assert run(["compile", "-f", one, *words]) == 0
    assert want in capsys.readouterr().out


def test_json_names_the_manifest_line_of_every_rule(one: str, capsys: Capture) -> None:
    assert run(["compile", "-f", one, "-o", "json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out)
    assert list(answer) == ["schema", "node", "family", "mode", "tables", "notes"]
    assert (answer["schema"], answer["node"], answer["family"], answer["mode"]) == (
        "netsim.compile/v1", "node-1", "ipv4", "iptables",
    )  # fmt: skip
    assert out == json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    [nat] = [table for table in answer["tables"] if table["table"] == "nat"]
    [services] = [chain for chain in nat["chains"] if chain["name"] == "KUBE-SERVICES"]
    first = services["rules"][0]
    assert first["text"].startswith("-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp")
    assert list(first["origin"]) == ["kind", "namespace", "name", "field", "file", "line"]
    assert (first["origin"]["kind"], first["origin"]["field"]) == ("Service", "spec.ports[0]")
    assert Path(one).read_text().splitlines()[first["origin"]["line"] - 1].strip() == "- name: http"
    [destination] = [
        rule for chain in nat["chains"] for rule in chain["rules"] if "--to-destination 10.244.1.5:8080" in rule["text"]
    ]
    assert (destination["origin"]["kind"], destination["origin"]["name"]) == ("EndpointSlice", "web-1")
    assert "10.244.1.5" in "".join(Path(one).read_text().splitlines()[destination["origin"]["line"] - 1 :][:2])


def test_json_of_several_nodes_is_a_list(two: str, capsys: Capture) -> None:
    assert run(["compile", "-f", two, "-o", "json"]) == 0
    found = [(answer["node"], answer["family"]) for answer in json.loads(capsys.readouterr().out)]
    assert found == [("node-1", "ipv4"), ("node-1", "ipv6"), ("node-2", "ipv4"), ("node-2", "ipv6")]


def test_json_carries_the_notes(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, node("node-1"), service())
    assert run(["compile", "-f", path, "-o", "json", "--v=4"]) == 0
    captured = capsys.readouterr()
    note = {"code": "KUBE_PROXY_FLAG_IGNORED", "text": "--v of kube-proxy changes no rule"}
    assert note in json.loads(captured.out)["notes"]
    assert "note: KUBE_PROXY_FLAG_IGNORED" in captured.err


def test_out_dir_holds_every_node_and_family(two: str, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "deep" / "out"
    assert run(["compile", "-f", two, "--out-dir", str(target)]) == 0
    assert capsys.readouterr().out == ""
    names = ["ip6tables.restore", "ip6tables.save", "iptables.restore", "iptables.save"]
    assert files(target) == sorted(
        [*(f"{n}/{name}" for n in ("node-1", "node-2") for name in names), "node-1", "node-2"]
    )


def test_out_dir_of_one_node_and_family(two: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert run(["compile", "-f", two, "--out-dir", str(target), "--node", "node-2", "--family", "ipv4"]) == 0
    assert files(target) == ["node-2", "node-2/iptables.restore", "node-2/iptables.save"]


def test_out_dir_leaves_other_files_alone(one: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    (target / "node-1").mkdir(parents=True)
    (target / "node-1" / "iptables.restore").write_text("old")
    (target / "node-1" / "mine.txt").write_text("mine")
    (target / "other").write_text("other")
    assert run(["compile", "-f", one, "--out-dir", str(target)]) == 0
    assert (target / "node-1" / "iptables.restore").read_text().startswith("*filter")
    assert (target / "node-1" / "mine.txt").read_text() == "mine"
    assert (target / "other").read_text() == "other"
    assert not [name for name in files(target) if "netsim" in name]


def test_nothing_is_written_when_compiling_fails(tmp_path: Path, capsys: Capture) -> None:
    hostile = service("we\nb")
    path = write(tmp_path, node("node-1"), hostile)
    target = tmp_path / "deep" / "out"
    assert run(["compile", "-f", path, "--out-dir", str(target)]) == 2
    assert not (tmp_path / "deep").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_node_name_cannot_lead_out_of_the_directory(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, node("../../evil"), service())
    assert run(["compile", "-f", path, "--out-dir", str(tmp_path / "out")]) == 2
    assert "cannot be the name of a file or directory" in capsys.readouterr().err
    assert files(tmp_path) == ["input.yaml"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param([], "2 nodes: choose one (--node NODE, --family FAMILY)", id="two nodes"),
        pytest.param(["--node", "node-9"], "node/node-9: no such node (there are node-1, node-2)", id="no such node"),
        pytest.param(["--node", "node-1", "--family", "ipv4", "--family", "ipv6"], "two families", id="two families"),
        pytest.param(
            ["--node", "node-1", "-o", "nft"], "-o nft: mode iptables has restore, save and json", id="format"
        ),
        pytest.param(["--node", "node-1", "-o", "xml"], "'xml' is not one of", id="no such format"),
        pytest.param(["--node", "node-1", "--proxy-mode", "kernelspace"], "--proxy-mode: Invalid value", id="mode"),
        pytest.param(["--class", "nginx"], "--class needs --ingress", id="class"),
        pytest.param(["--node", "node-1", "--config", "/no/such/file"], "/no/such/file", id="config"),
        pytest.param(["--out-dir", "/proc/no"], "--out-dir /proc/no", id="unwritable"),
        pytest.param(["extra"], "unexpected extra argument", id="extra word"),
    ],
)
def test_bad_usage_is_exit_2_and_says_why(words: list[str], text: str, two: str, capsys: Capture) -> None:
    assert run(["compile", "-f", two, *words]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_no_input_is_exit_2(capsys: Capture) -> None:
    assert run(["compile"]) == 2
    assert "no input" in capsys.readouterr().err


def test_the_order_of_objects_does_not_matter(tmp_path: Path, capsys: Capture) -> None:
    objects = [
        node("node-1"),
        service("a", clusterIP="10.96.0.11", clusterIPs=["10.96.0.11"]),
        service("b", clusterIP="10.96.0.12", clusterIPs=["10.96.0.12"]),
        endpoint_slice("10.244.1.5", "10.244.1.100", name="b"),
        endpoint_slice("10.244.1.9", name="a"),
    ]
    texts = []
    for name, order in (("one.yaml", objects), ("two.yaml", list(reversed(objects)))):
        assert run(["compile", "-f", write(tmp_path, *order, name=name), "-o", "save"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_a_config_map_of_the_input_decides_the_mode(tmp_path: Path, capsys: Capture) -> None:
    data = {"config.conf": "kind: KubeProxyConfiguration\nmode: nftables\n"}
    metadata = {"name": "kube-proxy", "namespace": "kube-system"}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    path = write(tmp_path, node("node-1"), service(), settings)
    assert run(["compile", "-f", path]) == 0
    assert capsys.readouterr().out.startswith("add table ip kube-proxy")
    assert run(["compile", "-f", path, "--proxy-mode", "iptables"]) == 0
    assert capsys.readouterr().out.startswith("*filter")


def test_help_shows_kube_proxys_flags(capsys: Capture) -> None:
    assert run(["compile", "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"--masquerade-all \[=true\|false\]", text)
    assert "--healthz-port" not in text
