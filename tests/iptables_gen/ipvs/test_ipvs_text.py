"""ipvsadm, ipset and address texts: what nodes print, and what is refused with its place."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.ipvs.ir import Entry, IpSet, RealServer, VirtualServer
from iptables_gen.ipvs.text import (
    parse_addresses,
    parse_servers,
    parse_sets,
    render_addresses,
    render_servers,
    render_sets,
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.1.1:8080 -m -w 1\n", id="round-robin"),
        pytest.param("-A -u 10.0.0.1:53 -s wrr -p 300\n-a -u 10.0.0.1:53 -r 10.1.1.1:53 -m -w 5\n", id="persistent"),
        pytest.param("-A --sctp-service 10.0.0.1:80 -s sh\n", id="sctp-without-servers"),
        pytest.param(
            "-A -t [fd00::1]:80 -s mh -p 300 -b mh-port\n-a -t [fd00::1]:80 -r [fd00::2]:80 -m -w 1\n", id="ipv6"
        ),
        pytest.param("-A -f 7 -s wlc\n-a -f 7 -r 10.1.1.1:0 -g -w 1\n", id="by-firewall-mark-and-direct-routing"),
        pytest.param("-A -t 10.0.0.1:80 -s rr -p 60 -M 255.255.255.0 -o\n", id="netmask-and-one-packet"),
        pytest.param("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.1.1:8080 -i -w 0\n", id="tunnel-and-weight-0"),
    ],
)
def test_servers_print_as_they_were_read(text: str) -> None:
    assert render_servers(parse_servers(text)) == text


def test_long_options_and_any_order_of_lines_are_read() -> None:
    text = "-a -t 10.0.0.1:80 -r 10.1.1.1:80 --masquerading\n--add-service --tcp-service 10.0.0.1:80 --scheduler rr\n"
    [server] = parse_servers(text)
    assert server == VirtualServer("tcp", "10.0.0.1", 80, "rr", servers=(RealServer("10.1.1.1", 80),))


SETS = """create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1
create KUBE-6-X hash:ip,port,net family inet6 hashsize 1024 maxelem 65536 bucketsize 12
create PORTS bitmap:port range 0-65535
create NETS hash:net family inet hashsize 1024 maxelem 65536
add KUBE-CLUSTER-IP 10.96.0.1,tcp:443
add KUBE-6-X fd00::1,tcp:80,fd00:1::/64
add PORTS 30080
add NETS 10.0.0.0/8
"""


def test_sets_print_as_they_were_read() -> None:
    sets = parse_sets(SETS)
    assert render_sets(sets) == SETS
    assert sets[0].entries == (Entry("10.96.0.1", "tcp", 443),)
    assert sets[1] == IpSet(
        "KUBE-6-X",
        "hash:ip,port,net",
        6,
        (Entry("fd00::1", "tcp", 80, "fd00:1::/64"),),
        "family inet6 hashsize 1024 maxelem 65536 bucketsize 12",
    )
    assert sets[2].entries == (Entry(port=30080),)


def test_addresses_are_read_from_any_form_of_ip_addr() -> None:
    shown = (
        "4: kube-ipvs0: <BROADCAST,NOARP> mtu 1500 state DOWN\n    inet 10.96.0.1/32 scope global kube-ipvs0\n"
        "       valid_lft forever preferred_lft forever\n    inet6 fd00:10:96:0::a/128 scope global\n"
    )
    assert parse_addresses(shown) == ("10.96.0.1", "fd00:10:96::a")
    assert parse_addresses(render_addresses(("10.96.0.1", "fd00::1"))) == ("10.96.0.1", "fd00::1")


@pytest.mark.parametrize(
    ("read", "text", "problem"),
    [
        pytest.param(parse_servers, "-A -t 10.0.0.1:80\n-X -t 10.0.0.1:80\n", ":2:1: expected -A or -a", id="verb"),
        pytest.param(parse_servers, "-A -t 10.0.0.300:80 -s rr\n", ":1:7: ", id="address"),
        pytest.param(parse_servers, "-A -s rr\n", "no virtual service", id="service"),
        pytest.param(parse_servers, "-A -t 10.0.0.1:80 -p x\n", "'x' is not a number", id="number"),
        pytest.param(parse_servers, "-A -t 10.0.0.1:80 -s\n", "option -s needs a value", id="value-missing"),
        pytest.param(parse_servers, "-a -t 10.0.0.1:80 -m\n", "needs -r", id="server-missing"),
        pytest.param(parse_sets, "add X 10.0.0.1\n", "no set 'X'", id="entry-before-its-set"),
        pytest.param(parse_sets, "make X hash:ip\n", "expected 'create' or 'add'", id="unknown-word"),
        pytest.param(parse_sets, "create X hash:ip family inet\nadd X fd00::1\n", ":2:1: ", id="other-family"),
        pytest.param(parse_sets, "create X bitmap:port range 0-9\nadd X http\n", ":2:1: ", id="port-by-name"),
    ],
)
def test_mistakes_are_reported_with_their_place(read: object, text: str, problem: str) -> None:
    with pytest.raises(RulesetSyntaxError) as caught:
        read(text, "dump")  # type: ignore[operator]
    assert problem in str(caught.value)
    assert str(caught.value).startswith("dump:")


@given(st.text(alphabet=string.printable, max_size=60))
def test_no_text_raises_anything_but_a_syntax_error(text: str) -> None:
    for before in ("", "-A -t ", "-a -t 10.0.0.1:80 -r ", "create X hash:ip,port family inet\nadd X "):
        for read in (parse_servers, parse_sets):
            with contextlib.suppress(RulesetSyntaxError):
                read(before + text)
