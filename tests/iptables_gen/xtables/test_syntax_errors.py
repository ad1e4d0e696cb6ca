"""Text that is refused: where, and in what words."""

from __future__ import annotations

import pytest

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.xtables.ir import DeleteChain, FlushChain, NewChain, Rule
from iptables_gen.xtables.text import parse, parse_rule

RULES = [
    ("-A FOO -p tpc -j DROP", 11, "unknown protocol 'tpc'"),
    ("-A FOO -p 256 -j DROP", 11, "unknown protocol '256'"),
    ("-A FOO ! -p all -j DROP", 13, "a rule for no protocol never matches"),
    ("-A FOO -s 10.0.0.300 -j DROP", 11, "'10.0.0.300' does not appear to be an IPv4 or IPv6 address"),
    ("-A FOO -s 10.0.0.0/33 -j DROP", 11, "prefix length 33 is over 32"),
    ("-A FOO -m iprange --src-range fd00::1 -j DROP", 31, "--src-range: 'fd00::1' is not an IPv4 address"),
    ("-A FOO -s 10.0.0.1,10.0.0.2 -j DROP", 11, "several addresses in one rule: write a rule for each"),
    ("-A FOO -s 10.0.0.1 -s 10.0.0.2 -j DROP", 20, "-s is given twice"),
    ("-A FOO -s", 8, "-s needs a value"),
    ("-A FOO -i a/b -j DROP", 11, "'a/b' is not an interface name"),
    ("-A FOO -i abcdefghijklmnop -j DROP", 11, "'abcdefghijklmnop' is not an interface name"),
    ("-A FOO !", 8, "nothing follows !"),
    ("-A FOO ! -j DROP", 10, "! cannot stand before -j"),
    ("-A FOO -j DROP -j ACCEPT", 16, "a rule has one target"),
    ("-A FOO DROP", 8, "'DROP' is not an option"),
    ("-A FOO -x 5", 8, "'-x' is not an option"),
    ("-A FOO --dport 80 -j DROP", 8, "unknown option --dport"),
    ("-A FOO -p icmp --dport 80 -j DROP", 16, "unknown option --dport"),
    ("-A FOO -p tcp --dport 80 --dport 81", 34, "option --dport is given twice"),
    ("-A FOO -p tcp --dport 65536", 23, "--dport: '65536' is not a port"),
    ("-A FOO -p tcp --dport 80:70", 23, "--dport: port range '80:70' is backwards"),
    ("-A FOO -p tcp --dport no-such-port", 23, "--dport: 'no-such-port' is not a port"),
    ("-A FOO -p tcp --tcp-flags SYN", 15, "--tcp-flags needs a value"),
    ("-A FOO -p tcp --tcp-flags SYN,XYZ SYN", 27, "'XYZ' is no TCP flag"),
    ("-A FOO -m mark -j DROP", 11, "option --mark is missing"),
    ("-A FOO -m mark --mark 0x1g -j DROP", 23, "--mark: '0x1g' is not a number"),
    ("-A FOO -m mark --mark 0x100000000 -j DROP", 23, "--mark: '0x100000000' does not fit 32 bits"),
    ("-A FOO -m conntrack -j DROP", 11, "conntrack needs at least one option"),
    ("-A FOO -m conntrack --ctstate NEW,OLD -j DROP", 31, "--ctstate: 'OLD' is no connection state"),
    ("-A FOO -m addrtype --dst-type HERE -j DROP", 31, "--dst-type: 'HERE' is no address type"),
    ("-A FOO -m statistic --mode often -j DROP", 28, "'often' is not a mode of statistic"),
    ("-A FOO -m statistic --mode random --probability 1.5 -j X", 49, "probability 1.5 is not from 0 to 1"),
    ("-A FOO -m statistic --mode random --probability often -j X", 49, "--probability: 'often' is not a probability"),
    ("-A FOO -m statistic --mode nth --every 3 --packet 3", 40, "--packet 3 is not below --every 3"),
    ("-A FOO -m recent --name X -j DROP", 11, "option --set or --rcheck or --update or --remove is missing"),
    ("-A FOO -m limit --limit often -j DROP", 25, "--limit: 'often' is not a rate"),
    ("-A FOO -m limit --limit 10001/s -j DROP", 25, "--limit: rate 10001/s is too fast"),
    ("-A FOO -m mac --mac-source 00:11 -j DROP", 28, "'00:11' is not an Ethernet address"),
    ("-A FOO -m pkttype --pkt-type all -j DROP", 30, "'all' is not a packet type"),
    ("-A FOO -m set --match-set S here -j DROP", 27, "'here' is not a list of src and dst"),
    ("-A FOO -m iprange --src-range 10.0.0.9-10.0.0.1 -j X", 31, "'10.0.0.9-10.0.0.1' is backwards"),
    ("-A FOO -m 'x -j DROP", 11, 'is not the name of a match'),
    ('-A FOO -m comment --comment "x -j DROP', 29, "quote is never closed"),
    (f"-A FOO -m comment --comment {'x' * 256}", 29, "--comment: a comment has at most 255 bytes"),
    ("-A FOO -p icmp --icmp-type 300 -j DROP", 28, "--icmp-type: '300' does not fit 8 bits"),
    ("-A FOO -j REJECT --reject-with rudely", 32, "--reject-with: 'rudely' is not a kind of rejection"),
    ("-A FOO -j DNAT --to-destination 10.0.0.1:x", 33, "--to-destination: 'x' is not a number"),
    ("-A FOO -j DNAT --to-destination 10.0.0.1:", 33, "names neither address nor port"),
    ("-A FOO -j SNAT", 11, "option --to-source is missing"),
    ("-A FOO -j MARK --set-xmark x/1", 28, "--set-xmark: 'x' is not a number"),
    ("-A FOO -j LOG --log-level 9", 27, "--log-level: log level 9 is not from 0 to 7"),
    ("-A FOO -c 5 x", 13, "'x' is not a counter"),
    ("-A FOO -m length --length 70000", 27, "--length: '70000' does not fit 16 bits"),
    ("-A", 1, "a rule begins with -A CHAIN"),
    ("-A -j DROP", 4, "'-j' is not a chain name"),
    (f"-A {'X' * 29}", 4, "is not a chain name (1 to 28 bytes, not beginning with - or !)"),
    ("-I FOO -j DROP", 1, "'-I' is not -A, -N, -F or -X: only rules that are appended can be read"),
    ("[1:x] -A FOO", 1, "'[1:x]' is not [packets:bytes]"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "column", "problem"), [pytest.param(*case, id=case[0][:60]) for case in RULES])
def test_a_rule_is_refused_at_its_column(line: str, column: int, problem: str) -> None:
    with pytest.raises(RulesetSyntaxError) as caught:
        parse(f"*filter\n{line}\n", "rules.txt")
    error = caught.value
    assert problem in error.problem
    assert (error.file, error.line, error.column) == ("rules.txt", 2, column)
    shown = str(error).split("\n")
    assert shown[0] == f"rules.txt:2:{column}: {error.problem}"
    assert shown[2].index("^") - 2 == column - 1


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("-A FOO -j DROP", 1, 1, "no table is open: *NAME comes first"),
        ("\n:INPUT ACCEPT", 2, 1, "no table is open"),
        ("*filter\n*nat", 2, 1, "table filter has no COMMIT before this"),
        ("*filter\nCOMMIT\n*filter", 3, 2, "table filter is there already"),
        ("*", 1, 2, "'' is not the name of a table"),
        ("*fil ter", 1, 2, "'fil ter' is not the name of a table"),
        ("*filter\n:INPUT", 2, 1, "a chain line is :NAME POLICY [packets:bytes]"),
        ("*filter\n:INPUT REJECT", 2, 8, "'REJECT' is not a policy (ACCEPT, DROP, or - for a user chain)"),
        ("*filter\n:INPUT ACCEPT [1:2:3]", 2, 15, "'[1:2:3]' is not [packets:bytes]"),
        (f"*filter\n:{'X' * 29} -", 2, 2, "is not a chain name"),
        ("*filter\n-X", 2, 1, "-X needs the name of one chain"),
        ("*filter\n-N A B", 2, 1, "-N needs the name of one chain"),
    ],
)
def test_a_dump_is_refused_at_its_line(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(RulesetSyntaxError) as caught:
        parse(text)
    assert problem in caught.value.problem
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_rule_alone_is_refused_with_a_caret() -> None:
    with pytest.raises(RulesetSyntaxError, match=r"^-:1:4: '-j' is not a chain name[^\n]*\n  -A -j DROP\n     \^$"):
        parse_rule("-A -j DROP")
    with pytest.raises(RulesetSyntaxError, match="not a rule"):
        parse_rule("-X FOO")


def test_what_dumps_have_besides_rules() -> None:
    lines = ["# Generated by iptables-save", "*nat", ":A - [0:0]", ":B ACCEPT", "[5:6] -A A -j B", "-N C\r", "-F C"]
    (table,) = parse("\n".join([*lines, "-X C", "", "COMMIT", "# done", ""])).tables
    assert [(line.name, line.policy, line.counters) for line in table.chain_lines] == [
        ("A", None, (0, 0)),
        ("B", "ACCEPT", None),
    ]
    rule, *others = table.commands
    assert isinstance(rule, Rule)
    assert rule.counters == (5, 6)
    assert others == [NewChain("C"), FlushChain("C"), DeleteChain("C")]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("-A FOO -p tcp --source-p 5 -j DROP", "-A FOO -p tcp -m tcp --sport 5 -j DROP"),
        ("-A FOO -p tcp -j REDIRECT --to-port 5", "-A FOO -p tcp -j REDIRECT --to-ports 5"),
        ("-A FOO -p tcp --dport=5 -j DROP", "-A FOO -p tcp -m tcp --dport 5 -j DROP"),
        ("-A FOO -p tcp --dport http -j DROP", "-A FOO -p tcp -m tcp --dport 80 -j DROP"),
        ("--append FOO --jump DROP", "-A FOO -j DROP"),
        ("-A FOO -4 -j DROP", "-A FOO -j DROP"),
        ("-A FOO -m time --utc 2 -m mark --mark 1", "-A FOO -m time --utc 2 -m mark --mark 0x1"),
        ("-A FOO -j UNHEARD --of 5", "-A FOO -j UNHEARD --of 5"),
        ("-A FOO -j TEE --gateway 10.0.0.1", "-A FOO -j TEE --gateway 10.0.0.1"),
        ('-A FOO -m new --word "a b" ! --other c -j X', '-A FOO -m new --word "a b" ! --other c -j X'),
    ],
)  # fmt: skip
def test_other_spellings_are_read(line: str, want: str) -> None:
    assert parse_rule(line).text == want
