"""What makes evaluation fast must not change it: indexes of dispatch chains, memory of classes, templates of rows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.dataplane import Hook
from iptables_gen.effects import Accept, Path
from iptables_gen.kubeproxy.inputs import Endpoint, NodeInfo, ProxyConfig, ProxyInput, ServicePort
from iptables_gen.kubeproxy.iptables_program import compile_input
from iptables_gen.values import format_ip, parse_ip
from iptables_gen.xtables.dispatch import find_dispatch
from iptables_gen.xtables.evaluate import XtablesDataplane
from iptables_gen.xtables.ir import Row, RowTemplate, Ruleset, Style, Table
from iptables_gen.xtables.program import Codes
from iptables_gen.xtables.text import parse, parse_rule, render, typed
from iptables_gen.xtables.walk import Walk, walk
from tests.iptables_gen.xtables.xtables_views import HOST, RECORDED, Host, Seen, packet

SAVES = sorted(RECORDED.glob("*/iptables-*/iptables-save.txt"))
KITCHEN_SINK = RECORDED / "099-kitchen-sink" / "iptables-node-1" / "iptables-save.txt"
AFFINE = Host(ages=(("KUBE-SEP-7XROCGGT66M6CVAP", "10.244.1.9", 5.0),))


def plain_walk(ruleset: Ruleset, table: Table, seen: Seen, hook: Hook, host: Host) -> tuple[Path, ...]:
    """Return the paths without index and memory."""
    state = Walk(Codes(table, ruleset.family, None), {}, host, hook, Accept())
    return walk(state, hook.name, seen)


def addresses_of(text: str) -> list[str]:
    words = {word.split("/")[0].rpartition(":")[0] or word.split("/")[0] for word in text.split()}
    found = [word for word in words if word.count(".") == 3 and word.replace(".", "").isdigit()]
    return sorted({*found, "10.244.1.9", "198.51.100.9", "10.96.200.200", "192.168.10.1"})


def packets(text: str, count: int, seed: int) -> list[Seen]:
    """Return packets from and to what the dump speaks of."""
    chance = random.Random(seed)
    places = addresses_of(text)
    ports = [80, 443, 53, 8080, 30080, 31080, 7070, 4321]
    return [
        packet(
            chance.choice(places),
            chance.choice(places),
            protocol=chance.choice(["tcp", "tcp", "udp", "sctp"]),
            dport=chance.choice(ports),
            mark=chance.choice([0, 0x4000]),
            ct_state=chance.choice(["NEW", "NEW", "ESTABLISHED", "INVALID"]),
            in_interface=chance.choice(["", "cni0", "eth0"]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("path", SAVES[::7], ids=lambda path: path.parts[-3])
def test_memory_changes_nothing(path) -> None:
    text = path.read_text()
    ruleset = parse(text)
    plane = XtablesDataplane(ruleset)
    for seen in packets(text, 60, len(text)):
        for entry in plane.hooks():
            table = ruleset.table(entry.table)
            assert table is not None
            for host in (HOST, AFFINE, HOST):
                assert entry.run(seen, host) == plain_walk(ruleset, table, seen, entry.hook, host)


def test_memory_changes_nothing_in_any_order() -> None:
    text = KITCHEN_SINK.read_text()
    seen = packets(text, 80, 1)
    one, other = XtablesDataplane(parse(text)), XtablesDataplane(parse(text))
    forward = [[entry.run(each, HOST) for entry in one.hooks()] for each in seen]
    backward = [[entry.run(each, HOST) for entry in other.hooks()] for each in reversed(seen)]
    assert forward == list(reversed(backward))


def services(count: int) -> tuple[ServicePort, ...]:
    def endpoint(number: int) -> Endpoint:
        return Endpoint(format_ip(4, 0x0AF40000 + number), 8080)

    return tuple(
        ServicePort(
            "ns", f"s{i:04}", "http", "tcp", 80, format_ip(4, 0x0A600010 + i), node_port=30000 + i,
            endpoints=tuple(endpoint(3 * i + j) for j in range(3)), affinity_seconds=60 if i % 5 == 0 else None,
            external_ips=("203.0.113.7",) if i == 3 else (),
        )
        for i in range(count)
    )  # fmt: skip


COMPILED = compile_input(
    ProxyInput(4, NodeInfo("n", "192.168.10.1"), ProxyConfig(cluster_cidrs=("10.244.0.0/16",)), services(60))
)


def test_rows_and_their_text_are_one_ruleset() -> None:
    """Dispatch chains, templates and memory of the rows against a plain walk of the dump read back."""
    ruleset = COMPILED.ruleset
    dump = parse(render(ruleset))
    rows = XtablesDataplane(ruleset)
    nat = dump.table("nat")
    assert nat is not None
    assert find_dispatch(Codes(nat, 4, None), "PREROUTING").keys() == {"KUBE-SERVICES", "KUBE-NODEPORTS"}
    (entry,) = [one for one in rows.hooks() if (one.table, one.hook) == ("nat", Hook.PREROUTING)]
    chance = random.Random(5)
    for _ in range(300):
        target = chance.choice([(0x0A600010 + chance.randrange(64), 80), (0xC0A80A01, 30000 + chance.randrange(64))])
        source = format_ip(4, 0x0AF40000 + chance.randrange(200) if chance.random() < 0.7 else 0xC6336409)
        seen = packet(source, format_ip(4, target[0]), dport=target[1])
        got, want = entry.run(seen, HOST), plain_walk(dump, nat, seen, Hook.PREROUTING, HOST)
        assert [texts(path) for path in got] == [texts(path) for path in want]


def texts(path: Path) -> tuple[object, ...]:
    shown = [getattr(effect, "rule", effect) for effect in path.effects]
    return path.weight, path.verdict, [getattr(one, "text", one) for one in shown]


def test_every_row_is_the_rule_that_its_text_says() -> None:
    for table in COMPILED.ruleset.tables:
        for command in table.commands:
            assert isinstance(command, Row)
            rule = typed(command, 4)
            assert rule.text == command.text
            assert parse_rule(command.text, table.name).text == command.text
            assert rule.origin == command.origin


@pytest.mark.parametrize(
    ("restore", "args", "want"),
    [
        ("-A {0} -j {1}", ("A", "B"), "-A A -j B"),
        ("-A {0} -g {1}", ("A", "B"), "-A A -g B"),
        ("-A {0} -j X-{1}", ("A", "B"), "-A A -j X-B"),
        ("-A {0}", ("A",), "-A A"),
        ("-A {0} -s {1} -j DROP", ("A", "10.0.0.1"), "-A A -s 10.0.0.1/32 -j DROP"),
        ("-A {0} ! -s {1} -j DROP", ("A", "10.0.0.0/8"), "-A A ! -s 10.0.0.0/8 -j DROP"),
        ("-A {0} -i {1}+ -j DROP", ("A", "eth"), "-A A -i eth+ -j DROP"),
        ("-A {0} -i a{{b -j X{{", ("A",), "-A A -i a{b -j X{"),
        ("-A {0} -m comment --comment {1} -j DROP", ("A", "x"), "-A A -m comment --comment x -j DROP"),
        ("-A {0} -m comment --comment {1} -j DROP", ("A", '"x \\" y"'), '-A A -m comment --comment "x \\" y" -j DROP'),
        ('-A {0} -m comment --comment "{1}: {{}}"', ("A", "x"), '-A A -m comment --comment "x: {}"'),
        ("-A {0} -m tcp -p tcp --dport {1} -j DROP", ("A", "80"), "-A A -p tcp -m tcp --dport 80 -j DROP"),
        ("-A {0} -m time --timestart {1} -j DROP", ("A", "08:00"), "-A A -m time --timestart 08:00 -j DROP"),
        ("-A {0} -j NFQUEUE --queue-num {1}", ("A", "5"), "-A A -j NFQUEUE --queue-num 5"),
        ("-A {0} -j MARK --or-mark {1}", ("A", "0x10"), "-A A -j MARK --set-xmark 0x10/0x10"),
        ("-A {0} -m statistic --mode random --probability {1}", ("A", "0.5000000000"),
         "-A A -m statistic --mode random --probability 0.50000000000"),
        ("-A {0} -m statistic --mode nth --every {1} --packet 0", ("A", "4"),
         "-A A -m statistic --mode nth --every 4 --packet 0"),
    ],
)  # fmt: skip
def test_templates(restore: str, args: tuple[str, ...], want: str) -> None:
    row = Row(RowTemplate("filter", "", restore, ""), args)
    assert typed(row, 4).text == want
    step = Codes(Table("filter"), 4, None).step(row)
    rule = parse_rule(row.render(Style.RESTORE))
    again = Codes(Table("filter"), 4, None).step(rule)
    assert (step.tests, step.chance, step.jump, step.acting, step.shape) == (
        again.tests, again.chance, again.jump, again.acting, again.shape,
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["-s 10.0.0.{}", "-d 10.0.0.{}", "-p tcp --dport {}", "-i eth{}", "-p udp -d 10.0.0.{}"]),
            st.integers(0, 9),
            st.sampled_from(["-j DROP", "-j MARK --or-mark 0x1", "-j MARK --xor-mark 0x3", "-j RETURN", "-j LOG"]),
        ),
        min_size=20,
        max_size=40,
    ),
    st.lists(st.tuples(*[st.integers(0, 10)] * 4, st.sampled_from(["tcp", "udp", "icmp"])), min_size=3, max_size=8),
)
def test_an_index_leaves_out_only_rules_that_cannot_match(
    lines: list[tuple[str, int, str]], seen: list[tuple[int, int, int, int, str]]
) -> None:
    body = [f"-A LONG {clause.format(number)} {target}" for clause, number, target in lines]
    ruleset = parse("\n".join(["*filter", ":INPUT ACCEPT", ":LONG -", "-A INPUT -j LONG", *body, "COMMIT"]))
    (entry,) = XtablesDataplane(ruleset).hooks()
    for src, dst, port, interface, protocol in seen:
        one = packet(f"10.0.0.{src}", f"10.0.0.{dst}", protocol=protocol, dport=port, in_interface=f"eth{interface}")
        assert entry.run(one, HOST) == plain_walk(ruleset, ruleset.tables[0], one, Hook.INPUT, HOST)


def test_addresses_are_told_apart_at_the_edges_of_networks() -> None:
    lines = ["*filter", ":INPUT ACCEPT", "-A INPUT -s 10.0.0.0/24 -j DROP", "-A INPUT -s 10.0.0.7 -j REJECT"]
    ruleset = parse("\n".join([*lines, "-A INPUT ! -s 10.1.0.0/16 -j LOG", "COMMIT"]))
    (entry,) = XtablesDataplane(ruleset).hooks()
    for source in ("10.0.0.0", "10.0.0.7", "10.0.0.255", "10.0.1.0", "10.1.0.0", "10.1.255.255", "10.2.0.0"):
        seen = packet(source)
        assert entry.run(seen, HOST) == plain_walk(ruleset, ruleset.tables[0], seen, Hook.INPUT, HOST)
        assert parse_ip(source)[1] == seen.src


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iptables_gen.xtables.evaluate._MOST_PLANS", 2)
    monkeypatch.setattr("iptables_gen.xtables.evaluate._MOST_CLASSES", 5)
    monkeypatch.setattr("iptables_gen.xtables.program._MOST", 3)
    small = XtablesDataplane(COMPILED.ruleset)
    plenty = XtablesDataplane(COMPILED.ruleset)
    (entry,) = [one for one in small.hooks() if (one.table, one.hook) == ("nat", Hook.PREROUTING)]
    (other,) = [one for one in plenty.hooks() if (one.table, one.hook) == ("nat", Hook.PREROUTING)]
    for number in range(80):
        seen = packet(format_ip(4, 0x0AF40000 + number % 7), format_ip(4, 0x0A600010 + number % 40))
        assert [texts(path) for path in entry.run(seen, HOST)] == [texts(path) for path in other.run(seen, HOST)]


@pytest.mark.parametrize("field", ["src", "dst"])
def test_addresses_that_rules_do_not_tell_apart_fare_alike(field: str) -> None:
    (entry,) = [
        one for one in XtablesDataplane(COMPILED.ruleset).hooks() if (one.table, one.hook) == ("nat", Hook.PREROUTING)
    ]
    assert entry.mentions is not None
    mentions = entry.mentions(field)
    assert mentions is not None
    assert mentions.singles
    chance = random.Random(7)
    seen: dict[object, list[tuple[object, ...]]] = {}
    for _ in range(200):
        address = (0x0AF40000 if field == "src" else 0x0A600010) + chance.randrange(400)
        if address in mentions.singles:
            continue
        kind = tuple(address & mask == network for mask, network in mentions.networks)
        ends = ("10.244.9.9", "10.96.0.17")
        source, target = (format_ip(4, address), ends[1]) if field == "src" else (ends[0], format_ip(4, address))
        paths = [texts(path) for path in entry.run(packet(source, target), Host(local=frozenset()))]
        assert seen.setdefault(kind, paths) == paths


def test_sources_of_unknown_matches_cannot_be_told_apart_beforehand() -> None:
    text = "*filter\n-A INPUT -m set --match-set S src -j DROP\n-A INPUT -s 10.0.0.0/8 -j DROP\nCOMMIT\n"
    (entry,) = XtablesDataplane(parse(text)).hooks()
    assert entry.mentions is not None
    assert entry.mentions("src") is None
