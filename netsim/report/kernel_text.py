"""A trace in the kernel's own trace shape: lines of `xtables-monitor --trace` for iptables' tables, of `nft monitor
trace` for others, so that the model's way and the kernel's can be laid side by side.

What the model does not know is left out or 0: lengths, IP ids, rule handles, the `return:` of a chain that ends. Lines
that start with `#` have no counterpart in the kernel's trace: hosts, routing, connection tracking, IPVS.

Source:  xtables-monitor(8), nft(8) "monitor"; compared with iptables 1.8.9 and nft 1.0.6 on Linux 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iptables_gen.values import format_ip
from netsim.errors import printable
from netsim.packet.packet import Packet
from netsim.report.trace_text import outcome_line
from netsim.trace.answer import Answer, Outcome
from netsim.trace.passage import Event
from netsim.trace.steps import Step, steps_of
from netsim.trace.walk import Hop

XTABLES = frozenset(("raw", "mangle", "nat", "filter", "security"))
AF = {4: 2, 6: 10}
"""Protocol families as `xtables-monitor` numbers them."""
ACCEPTING = ("DNAT", "SNAT", "MASQUERADE", "REDIRECT", "ACCEPT", "NETMAP")
ENDING = (*ACCEPTING, "DROP", "REJECT")
INBOUND, OUTBOUND = ("PREROUTING", "INPUT", "FORWARD"), ("FORWARD", "OUTPUT", "POSTROUTING")
INITIAL_TTL = 64


def kernel_text(answer: Answer, *, back: bool = False) -> str:
    """Return the lines of all outcomes, each with packet ids of its own, ending in a line break."""
    lines = [f"# {answer.asked.source} -> {answer.asked.target}: {answer.verdict} {answer.code}: {answer.summary}"]
    for number, outcome in enumerate(answer.outcomes):
        lines += _outcome(number, outcome, back=back)
    return "\n".join(printable(line) for line in lines) + "\n"


def _outcome(number: int, outcome: Outcome, *, back: bool) -> Iterator[str]:
    yield f"# outcome {outcome_line(outcome)}"
    yield from _way(outcome.hops, number << 8)
    if back and outcome.back:
        yield "# answer"
        yield from _way(outcome.back, (number << 8) + 0x80, reply=True)


def _way(hops: Sequence[Hop], first: int, *, reply: bool = False) -> Iterator[str]:
    for index, hop in enumerate(hops):
        yield f"# {hop.machine.name}"
        yield from _host(hop, f"{first + index + 1:08x}", INITIAL_TTL - max(index - 1, 0), reply=reply)


def _host(hop: Hop, identity: str, ttl: int, *, reply: bool) -> Iterator[str]:
    """Yield the lines of one host: one run through a base chain after the other."""
    steps = iter(steps_of(hop, full=True))
    for event in hop.passage.events:
        if event.path is None:
            yield f"# {_decision(next(steps))}"
            continue
        run = []
        for step in steps:
            run.append(step)
            if step.rule is None:
                break
        if any(step.table != "ipvs" for step in run[:-1]) or (len(run) == 1 and run[0].table != "ipvs"):
            yield from _run(hop, event, run, identity, ttl, reply=reply)
        else:
            yield from (f"# ipvs {step.verdict}" for step in run[:-1])


def _decision(step: Step) -> str:
    return f"{step.hook} {step.text}" if step.verdict == "CONNTRACK" else f"{step.hook} route: {step.text}"


def _run(hop: Hop, event: Event, run: Sequence[Step], identity: str, ttl: int, *, reply: bool) -> Iterator[str]:
    first, last = run[0], run[-1]
    assert event.entry is not None
    base = event.entry.entry.label or event.hook.name
    ended = len(run) > 1 and run[-2].verdict.split(" ")[0] in ENDING
    packet = first.before
    interfaces = _interfaces(hop, event.hook.name)
    if first.table in XTABLES:
        yield _xtables_packet(packet, identity, interfaces, ttl, reply=reply)
        yield from (_xtables_rule(step, identity) for step in run[:-1])
        if not ended:
            yield f" TRACE: {AF[packet.family]} {identity} {last.table}:{base}:policy:{_policy(last)} "
        return
    head = f"trace id {identity} {first.table} {base}"
    yield f"{head} packet: {_nft_packet(packet, interfaces, ttl, reply=reply)}"
    yield from (_nft_rule(step, identity) for step in run[:-1])
    if not ended:
        mark = f"meta mark {last.before.mark:#010x} " if last.before.mark else ""
        yield f"{head} policy {_policy(last).lower()} {mark}"


def _policy(step: Step) -> str:
    return "DROP" if step.verdict.startswith("DROP") else "ACCEPT"


def _interfaces(hop: Hop, hook: str) -> tuple[str, str]:
    """Return (in, out) as the hook sees them: a port of a bridge is the bridge itself to IP."""
    bridge = next((link.name for link in hop.machine.host.interfaces if link.kind == "bridge"), "")
    link = hop.machine.interfaces.get(hop.port)
    port = hop.port if link is not None and link.kind != "veth" else bridge or hop.port
    inside = port if hook in INBOUND and hop.port else ""
    return inside, hop.passage.out_interface if hook in OUTBOUND else ""


def _xtables_packet(packet: Packet, identity: str, at: tuple[str, str], ttl: int, *, reply: bool) -> str:
    words = [f"IN={at[0]}"] * bool(at[0]) + [f"OUT={at[1]}"] * bool(at[1])
    words += [f"SRC={format_ip(packet.family, packet.src)}", f"DST={format_ip(packet.family, packet.dst)}"]
    words += [f"TTL={ttl}" if packet.family == 4 else f"HOPLIMIT={ttl}"]
    words += [f"SPORT={packet.sport}", f"DPORT={packet.dport}"]
    if packet.protocol == "tcp":
        words += ["SYN", "ACK"] if reply else ["SYN"]
    words += [f"MARK={packet.mark:#x}"] * bool(packet.mark)
    return f"PACKET: {AF[packet.family]} {identity} {' '.join(words)} "


def _xtables_rule(step: Step, identity: str) -> str:
    assert step.rule is not None
    packet = step.before
    flag = "-4" if packet.family == 4 else "-6"
    place = f"{step.table}:{step.chain}:rule:0x0:{verdict_word(step.verdict, ':')}"
    return f" TRACE: {AF[packet.family]} {identity} {place}  {flag} -t {step.table} {step.rule.text}"


def verdict_word(verdict: str, between: str) -> str:
    """Return the kernel's verdict of a step: translations accept, REJECT drops, what goes on continues."""
    word, _, rest = verdict.partition(" ")
    match word:
        case "JUMP" | "GOTO":
            return f"{word}{between}{rest}"
        case "DROP" | "REJECT":
            return "DROP"
        case "RETURN":
            return "RETURN"
        case _:
            return "ACCEPT" if word in ACCEPTING else "CONTINUE"


def _nft_packet(packet: Packet, at: tuple[str, str], ttl: int, *, reply: bool) -> str:
    family = "ip" if packet.family == 4 else "ip6"
    words = [f'iif "{at[0]}"'] * bool(at[0]) + [f'oif "{at[1]}"'] * bool(at[1])
    words += [f"{family} saddr {format_ip(packet.family, packet.src)}"]
    words += [f"{family} daddr {format_ip(packet.family, packet.dst)}"]
    words += [f"{family} {'ttl' if packet.family == 4 else 'hoplimit'} {ttl}"]
    words += [f"{packet.protocol} sport {packet.sport}", f"{packet.protocol} dport {packet.dport}"]
    if packet.protocol == "tcp":
        words.append("tcp flags == 0x12" if reply else "tcp flags == syn")
    return " ".join(words) + " "


def _nft_rule(step: Step, identity: str) -> str:
    assert step.rule is not None
    word, _, target = verdict_word(step.verdict, " ").partition(" ")
    verdict = f"{word.lower()} {target}".strip()
    return f"trace id {identity} {step.table} {step.chain} rule {step.rule.text} (verdict {verdict})"
