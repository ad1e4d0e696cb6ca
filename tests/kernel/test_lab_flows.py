"""What connections do over time and to themselves: affinity, hairpin, UDP whose endpoint goes away."""

from __future__ import annotations

import json
import sys

import pytest

from tests.kernel.lab_support import TOPOLOGIES, netsim

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("own_state")]
SHOP = str(TOPOLOGIES / "shop")
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as channel:
    channel.bind(("", int(sys.argv[3])))
    channel.settimeout(1)
    for _ in range(int(sys.argv[4])):
        channel.sendto(b"?", (sys.argv[1], int(sys.argv[2])))
        try:
            print(channel.recv(4096).decode().strip())
        except TimeoutError:
            print('{"pod": "silence"}')
"""


def curl(lab: str, client: str, url: str) -> dict[str, object]:
    done = netsim("lab", "exec", lab, client, "--", "curl", "-s", "-m", "3", url)
    return dict(json.loads(done.stdout))


def datagrams(lab: str, client: str, address: str, port: int, sport: int, count: int = 1) -> list[str]:
    """Send datagrams from one socket and return who answered each."""
    words = (sys.executable, "-c", ASK, address, str(port), str(sport), str(count))
    done = netsim("lab", "exec", lab, client, "--", *words)
    return [json.loads(line)["pod"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_affinity_hairpin_and_udp(mode: str) -> None:
    netsim("lab", "up", "flows", "-q", "-f", SHOP, "--proxy-mode", mode)
    affinity()
    hairpin()
    udp()


def affinity() -> None:
    """A client stays at one endpoint through every address of a Service with ClientIP affinity."""
    urls = ("http://10.96.20.2/", "http://192.168.10.2:30080/", "http://10.96.20.2/", "http://192.168.10.2:30080/")
    assert len({curl("flows", "node/node-2", url)["pod"] for url in urls}) == 1


def hairpin() -> None:
    """A pod that reaches itself through a Service sees its node's bridge as the client."""
    seen = {}
    for _ in range(40):
        answer = curl("flows", "pod/shop/api-0", "http://10.96.20.1/")
        client = answer["client"]
        assert isinstance(client, dict)
        seen[answer["pod"]] = client["ip"]
        if "pod/shop/api-0" in seen and len(seen) > 1:
            break
    assert seen.pop("pod/shop/api-0") == "10.244.1.1"
    assert set(seen.values()) == {"10.244.1.11"}


def udp() -> None:
    """A UDP flow stays at its endpoint while that serves, and finds another when it does not."""
    first = datagrams("flows", "pod/shop/frontend-0", "10.96.20.1", 8125, 4001, 5)
    assert len(set(first)) == 1
    assert first[0].startswith("pod/shop/api-")
    gone = first[0]
    netsim("lab", "apply", "flows", "-q", "-f", SHOP, "--not-ready", gone)
    after = datagrams("flows", "pod/shop/frontend-0", "10.96.20.1", 8125, 4001, 3)
    assert gone not in after
    assert len(set(after)) == 1
    assert after[0].startswith("pod/shop/api-")
    pods = [word for n in range(3) for word in ("--not-ready", f"pod/shop/api-{n}")]
    netsim("lab", "apply", "flows", "-q", "-f", SHOP, *pods)
    assert datagrams("flows", "pod/shop/frontend-0", "10.96.20.1", 8125, 4001) == ["silence"]
    netsim("lab", "apply", "flows", "-q", "-f", SHOP)
    back = datagrams("flows", "pod/shop/frontend-0", "10.96.20.1", 8125, 4001, 2)
    assert len(set(back)) == 1
    assert back[0].startswith("pod/shop/api-")
