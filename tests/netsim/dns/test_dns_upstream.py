"""What the world outside answers: every kind of record, sizes and bytes of it, and files that say something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.cluster.model import Cluster
from netsim.dns.forward import read_upstream
from netsim.dns.open import DnsOptions, open_dns
from netsim.dns.records import Edns, Query
from netsim.dns.wire import render
from tests.fuzz.verbs import ROOT, broken_law, run

COREFILE = ".:53 {\n    forward . 192.0.2.53\n}\n"
HOSTS = st.sampled_from(
    ("mail.example.com.", "example.com.", "a.b.example.com.", "other.example.", r"a\.b.example.com.", ".")
)
RDATA = st.one_of(
    st.tuples(st.just("A"), st.just("192.0.2.1")),
    st.tuples(st.just("AAAA"), st.just("2001:db8::1")),
    st.tuples(st.just("MX"), st.builds("{} {}".format, st.integers(0, 65535), HOSTS)),
    st.tuples(st.just("SRV"), st.builds("{} 1 53 {}".format, st.integers(0, 65535), HOSTS)),
    st.tuples(st.just("SOA"), st.builds("{} {} 1 2 3 4 5".format, HOSTS, HOSTS)),
    st.tuples(st.sampled_from(("NS", "PTR", "CNAME")), HOSTS),
    st.tuples(st.just("TXT"), st.sampled_from(('"v=spf1 -all"', '"a" "b"', '"' + "x" * 255 + '"'))),
    st.tuples(st.just("CAA"), st.just('0 issue "ca.example.net"')),
)  # fmt: skip


@given(
    st.lists(st.tuples(HOSTS, RDATA), min_size=1, max_size=12),
    st.sampled_from(("udp", "tcp")),
    st.sampled_from((None, Edns(512), Edns(4096))),
)
def test_answers_from_outside_have_the_size_of_their_message(
    records: list[tuple[str, tuple[str, str]]], transport: str, edns: Edns | None
) -> None:
    listed = [[name, kind, 30, rdata] for name, (kind, rdata) in records]
    upstream = read_upstream({"records": listed}, "x")
    server = open_dns(Cluster(nodes=()), DnsOptions(corefile=COREFILE, upstream=upstream)).server
    for name, kind, _, _ in listed:
        answer = server.answer(Query(name, kind, transport=transport, edns=edns))
        reply = render(1, answer)
        assert reply is not None
        assert len(reply) == answer.wire_length
        parsed = dns.message.from_wire(reply, one_rr_per_rrset=True)
        assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in parsed.answer] == [r.type for r in answer.answer]
        assert [rrset.name.to_text().lower() for rrset in parsed.answer] == [r.name.lower() for r in answer.answer]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param([], "an object with records, servfail and drop is needed", id="a-list"),
        pytest.param({"records": 5}, "records: a list of", id="records-that-are-a-number"),
        pytest.param({"records": [["a.", "A", 30]]}, "records[0]: [name, type, ttl, rdata] is needed", id="no-rdata"),
        pytest.param({"records": [["a.", "A", -1, "1.2.3.4"]]}, "records[0]", id="a-negative-ttl"),
        pytest.param({"records": [["a.", "A", 30, "x"]]}, "records[0]: A 'x'", id="no-address"),
        pytest.param({"records": [["a.", "NONE", 30, "x"]]}, "records[0]: NONE 'x'", id="no-type"),
        pytest.param({"records": [["a.", "MX", 30, "70000 b."]]}, "records[0]: MX", id="a-preference-beyond-16-bits"),
        pytest.param({"servfail": "a."}, "servfail: a list of names is needed", id="a-name-for-a-list"),
        pytest.param({"drop": [5]}, "drop: a list of names is needed", id="a-number-for-a-name"),
    ],
)
def test_upstream_files_that_say_something_else_are_refused(data: Any, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "upstream.json"
    path.write_text(json.dumps(data))
    done = run(["dns", "-f", str(ROOT / "topologies" / "shop"), "example.com", "--upstream", str(path)])
    assert not broken_law(done)
    assert done.code == 2
    assert f"{path}: {problem}" in done.stderr


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param("cache 5x", "", id="a-zone-that-looks-like-a-duration"),
        pytest.param("cache {\n servfail 5m\n }", "", id="minutes"),
        pytest.param("cache {\n servfail 1h\n success 100 3600 5\n denial 5\n keepttl\n prefetch 1\n }", "", id="all"),
        pytest.param("cache {\n servfail soon\n }", "'soon' is not a duration", id="no-duration"),
        pytest.param("cache {\n servfail ²\n }", "'²' is not a duration", id="a-digit-that-is-none"),
        pytest.param("cache {\n what 5\n }", "unknown property what 5", id="an-unknown-property"),
        pytest.param("autopath", "no resolv-conf specified", id="autopath-alone"),
        pytest.param("hosts {\n 10.0.0.1 a.example\n ttl x\n }", "", id="a-ttl-that-is-none"),
        pytest.param("kubernetes / {\n }", "", id="a-zone-of-one-slash"),
        pytest.param("kubernetes 10.0.0.0/8 {\n ttl 99999\n }", "ttl must be in range [0, 3600]: 99999", id="long"),
    ],
)
def test_corefiles(lines: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(f".:53 {{\n {lines}\n}}\n")
    words = ["dns", "-f", str(ROOT / "topologies" / "shop"), "a.example", "--corefile", str(path)]
    done = run(words)
    assert not broken_law(done)
    assert done.code == (2 if problem else 0), done.stderr
    assert problem in done.stderr
