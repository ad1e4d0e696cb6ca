"""How a packet goes through chains: order, jumps, returns, forks, what is unknown, what is remembered."""

from __future__ import annotations

from fractions import Fraction

import pytest

from iptables_gen.effects import Accept, Assumed, Dnat, Drop, Remember, SetMark, Undetermined
from iptables_gen.values import parse_ip
from tests.iptables_gen.xtables.xtables_views import HOST, Host, dataplane, entry, labels, packet, rules, run, share


def table(*lines: str, name: str = "filter", policy: str = "ACCEPT") -> str:
    """Return a dump with the user chains A, B, C and the given rules (without `-A`)."""
    base = "INPUT" if name == "filter" else "PREROUTING"
    chains = [f":{base} {policy} [0:0]", *(f":{chain} - [0:0]" for chain in "ABC")]
    return "\n".join([f"*{name}", *chains, *(f"-A {line}" for line in lines), "COMMIT", ""])


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        pytest.param(["INPUT -j DROP", "INPUT -j ACCEPT"], ["DROP"], id="the first rule decides"),
        pytest.param(["INPUT -j A", "A -j DROP"], ["JUMP A", "DROP"], id="a jump"),
        pytest.param(["INPUT -j A", "INPUT -j DROP"], ["JUMP A", "DROP"], id="back after an empty chain"),
        pytest.param(["INPUT -j A", "INPUT -j DROP", "A -j RETURN"], ["JUMP A", "RETURN", "DROP"], id="RETURN"),
        pytest.param(["INPUT -j RETURN", "INPUT -j DROP"], ["RETURN", "ACCEPT"], id="RETURN to the policy"),
        pytest.param(["INPUT -g A", "INPUT -j DROP"], ["GOTO A", "ACCEPT"], id="goto does not come back"),
        pytest.param(
            ["INPUT -j A", "INPUT -j DROP", "A -g B", "A -j ACCEPT", "B -m comment --comment x"],
            ["JUMP A", "GOTO B", "CONTINUE", "DROP"],
            id="goto comes back to who called last",
        ),
        pytest.param(["INPUT -m mark --mark 5 -j DROP"], ["ACCEPT"], id="a rule that does not match is not listed"),
        pytest.param(
            ["INPUT -j MARK --set-mark 5", "INPUT -m mark --mark 5 -j DROP"], ["MARK 0x5", "DROP"], id="marks are seen"
        ),
        pytest.param(
            ["INPUT -j A", "INPUT -m mark --mark 5 -j DROP", "A -j MARK --or-mark 5"],
            ["JUMP A", "MARK 0x5", "DROP"],
            id="marks are seen by the caller",
        ),
        pytest.param(["INPUT -j LOG", "INPUT -j DROP"], ["LOG", "DROP"], id="a log"),
    ],
)  # fmt: skip
def test_the_way_through(lines: list[str], want: list[str]) -> None:
    (path,) = run(table(*lines))
    end = "ACCEPT" if isinstance(path.verdict, Accept) else "DROP"
    assert labels(path) == (want[:-1] if want[-1] not in labels(path) else want)
    assert want[-1] == end


def test_a_policy_of_drop_says_so() -> None:
    (path,) = run(table(policy="DROP"))
    assert path.verdict == Drop(policy=True)
    assert path.effects == ()


def test_a_mark_is_an_effect() -> None:
    (path,) = run(table("INPUT -j MARK --or-mark 0x4000"), packet(mark=1))
    assert path.effects[1:] == (SetMark(0x4001),)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 29])
@pytest.mark.parametrize("digits", [10, 11])
def test_equal_splits_are_exact(count: int, digits: int) -> None:
    lines = [
        f"INPUT -m statistic --mode random --probability {1 / (count - i):.{digits}f} -j A" for i in range(count - 1)
    ]
    paths = run(table(*lines, "INPUT -j A", "A -j DROP"))
    kernel = digits == 11
    assert [path.weight for path in paths] == [Fraction(1, count)] * count or kernel
    assert all(share(path) == path.weight for path in paths)


@pytest.mark.parametrize(
    ("clause", "weight"),
    [
        ("--mode random --probability 0.3", Fraction(3, 10)),
        ("--mode random ! --probability 0.3", Fraction(7, 10)),
        ("--mode random --probability 0.1234567891", Fraction(1234567891, 10**10)),
        ("--mode nth --every 4 --packet 0", Fraction(1, 4)),
        ("--mode nth ! --every 4 --packet 0", Fraction(3, 4)),
    ],
)
def test_other_chances(clause: str, weight: Fraction) -> None:
    paths = run(table(f"INPUT -m statistic {clause} -j DROP"))
    assert [(path.weight, path.verdict) for path in paths] == [(weight, Drop()), (1 - weight, Accept())]


def test_forks_within_forks() -> None:
    half = "-m statistic --mode random --probability 0.5"
    paths = run(table(f"INPUT {half} -j A", "INPUT -j DROP", f"A {half} -j ACCEPT", f"A {half} -j RETURN"))
    found = [(path.weight, type(path.verdict)) for path in paths]
    assert found == [
        (Fraction(1, 4), Accept), (Fraction(1, 8), Drop), (Fraction(1, 8), Drop), (Fraction(1, 2), Drop),
    ]  # fmt: skip


def test_a_range_of_addresses_is_a_fork() -> None:
    text = table("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.3:80", name="nat")
    paths = run(text, table="nat", hook="PREROUTING")
    assert [path.effects[1] for path in paths] == [Dnat(0x0A000001 + i, 80) for i in range(3)]
    assert {path.weight for path in paths} == {Fraction(1, 3)} == {share(path) for path in paths}


UNKNOWN = "-m time --timestart 08:00:00"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"INPUT {UNKNOWN} -j LOG", "INPUT -j DROP"], id="a log that may or may not happen"),
        pytest.param([f"INPUT {UNKNOWN}", "INPUT -j DROP"], id="a rule without target"),
        pytest.param([f"INPUT {UNKNOWN} -j DROP", "INPUT -j DROP"], id="both ways end alike"),
        pytest.param([f"INPUT {UNKNOWN} -j A", "A -j LOG", "INPUT -j DROP"], id="a chain that only logs"),
        pytest.param([f"INPUT {UNKNOWN} -j A", "A -j RETURN", "INPUT -j DROP"], id="a chain that returns"),
        pytest.param([f"INPUT -p udp {UNKNOWN} -j ACCEPT", "INPUT -j DROP"], id="another clause fails"),
        pytest.param([f"INPUT {UNKNOWN} -j DROP"] * 3 + ["INPUT -j DROP"], id="many unknown rules that agree"),
        pytest.param(["INPUT -j AUDIT --type drop", "INPUT -j DROP"], id="a target known to let go on"),
    ],
)
def test_what_is_unknown_but_does_not_matter(lines: list[str]) -> None:
    (path,) = run(table(*lines))
    assert path.verdict == Drop()


@pytest.mark.parametrize(
    ("lines", "named", "reason"),
    [
        pytest.param([f"INPUT {UNKNOWN} -j DROP"], 0, "-m time", id="an unknown match would drop"),
        pytest.param(["INPUT -j A", f"A {UNKNOWN} -j DROP"], 1, "-m time", id="in a chain below"),
        pytest.param([f"INPUT {UNKNOWN} -j MARK --set-xmark 0x1/0x1"], 0, "-m time", id="others may see the mark"),
        pytest.param(["INPUT -j NFQUEUE --queue-num 1"], 0, "NFQUEUE", id="a program decides"),
        pytest.param(["INPUT -j ELSEWHERE"], 0, "not in this ruleset", id="a chain that is not there"),
        pytest.param(["INPUT -j A", "A -j B", "B -j A"], None, "without end", id="chains that call each other"),
        pytest.param(["INPUT -g A", "A -g B", "B -g A"], None, "without end", id="chains that go to each other"),
        pytest.param([f"INPUT {UNKNOWN} -j DROP"] * 9, 4, "-m time", id="many unknown rules are not multiplied out"),
    ],
)
def test_what_is_unknown_and_matters(lines: list[str], named: int | None, reason: str) -> None:
    text = table(*lines)
    (path,) = run(text)
    assert isinstance(path.verdict, Undetermined)
    assert reason in path.verdict.reason
    if named is not None:
        assert path.verdict.rule.text == f"-A {lines[named]}"


def test_only_the_share_that_is_unknown_is_undetermined() -> None:
    paths = run(table("INPUT -m statistic --mode random --probability 0.25 -j ACCEPT", f"INPUT {UNKNOWN} -j DROP"))
    assert [(path.weight, type(path.verdict)) for path in paths] == [
        (Fraction(1, 4), Accept), (Fraction(3, 4), Undetermined),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clause", "verdict"),
    [("limit --limit 1/sec", Drop()), ("hashlimit --hashlimit-above 1/sec --hashlimit-name x", Accept())],
)
def test_rates_are_assumed_to_hold(clause: str, verdict: object) -> None:
    (path,) = run(table(f"INPUT -m {clause} -j DROP"))
    assert path.verdict == verdict
    (assumed,) = [effect for effect in path.effects if isinstance(effect, Assumed)]
    assert assumed.code == "RATE_LIMIT"


def test_a_rate_that_only_limits_logs_is_not_worth_a_note() -> None:
    (path,) = run(table("INPUT -m limit --limit 1/sec -j LOG"))
    assert not any(isinstance(effect, Assumed) for effect in path.effects)


AFFINE = table(
    "PREROUTING -m recent --name ONE --rcheck --seconds 10 --reap -j A",
    "PREROUTING -m recent --name TWO --rcheck --seconds 10 --reap -j B",
    "PREROUTING -m statistic --mode random --probability 0.5 -j A",
    "PREROUTING -j B",
    "A -p tcp -m recent --name ONE --set -j DNAT --to-destination 10.0.0.1",
    "B -p tcp -m recent --name TWO --set -j DNAT --to-destination 10.0.0.2",
    name="nat",
)


def test_a_new_client_may_go_anywhere_and_is_remembered() -> None:
    paths = run(AFFINE, table="nat", hook="PREROUTING")
    assert [path.weight for path in paths] == [Fraction(1, 2)] * 2
    client = parse_ip("10.244.1.9")[1]
    found = [[effect for effect in path.effects if isinstance(effect, Remember)] for path in paths]
    assert found == [[Remember("ONE", client, 0)], [Remember("TWO", client, 0)]]


def test_a_known_client_goes_where_it_went() -> None:
    base = entry(dataplane(AFFINE), "nat", "PREROUTING")
    known = Host(ages=(("TWO", "10.244.1.9", 3.0),))
    assert len(base.run(packet(), HOST)) == 2
    (path,) = base.run(packet(), known)
    assert path.effects[-1] == Dnat(parse_ip("10.0.0.2")[1], None)
    assert len(base.run(packet("10.244.1.8"), known)) == 2
    assert len(base.run(packet(), Host(ages=(("TWO", "10.244.1.9", 30.0),)))) == 2


def test_a_packet_of_another_protocol_is_not_remembered() -> None:
    paths = run(AFFINE, packet(protocol="udp"), table="nat", hook="PREROUTING")
    assert not any(isinstance(effect, Remember) for path in paths for effect in path.effects)


def test_the_host_is_asked_each_time() -> None:
    base = entry(dataplane(table("INPUT -m addrtype --dst-type LOCAL -j DROP")), "filter", "INPUT")
    seen = packet(dst="10.0.0.7")
    assert base.run(seen, HOST)[0].verdict == Accept()
    assert base.run(seen, Host(local=frozenset({"10.0.0.7"})))[0].verdict == Drop()
    assert base.run(seen, HOST)[0].verdict == Accept()


def test_redirects_follow_the_hosts_addresses() -> None:
    base = entry(dataplane(table("PREROUTING -p tcp -j REDIRECT --to-ports 1", name="nat")), "nat", "PREROUTING")
    seen = packet(in_interface="eth0")
    for address in ("10.0.0.1", "10.0.0.2"):
        (path,) = base.run(seen, Host(addresses={"eth0": address}))
        assert path.effects[-1] == Dnat(parse_ip(address)[1], 1)


def test_hits_name_their_rules() -> None:
    (path,) = run(table('INPUT -m comment --comment "a b" -j A', "A -p tcp -m tcp --dport 80 -j DROP"))
    assert rules(path) == ['-A INPUT -m comment --comment "a b" -j A', "-A A -p tcp -m tcp --dport 80 -j DROP"]
