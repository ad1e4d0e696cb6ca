"""An answer as people read it: at most 25 lines by default, the verdict first, only rules that did something.

Forks are drawn once: what all outcomes share comes first, then one line an outcome with its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from iptables_gen.values import format_ip
from netsim.errors import printable
from netsim.packet.packet import Packet
from netsim.report.style import paint
from netsim.trace.answer import Answer, HttpStep, Lookup, Outcome, Place
from netsim.trace.passage import Sent
from netsim.trace.steps import Step, steps_of
from netsim.trace.summary import reason
from netsim.trace.walk import Hop

Detail = Literal["minimal", "summary", "full"]
MOST_LINES = 25
MOST_BRANCHES = 6
MOST_SOURCES = 4
MOST_ANSWERS = 3
FEWEST_STEPS = 3
MARKING = "KUBE-MARK-MASQ"
UNEXPLAINED = "  [no manifest explains this rule]"


def answer_text(answer: Answer, *, detail: Detail, back: bool, color: bool, replay: str = "") -> str:
    """Return the text, ending in a line break. `replay` is the command that sends the same packet in the lab."""
    match detail:
        case "minimal":
            lines = list(_minimal(answer))
        case "full":
            lines = list(_full(answer, back=back))
        case "summary":
            lines = _summary(answer, back=back, replay=replay)[:MOST_LINES]
    head = paint(printable(lines[0]), answer.verdict, color=color)
    return "\n".join((head, *(printable(line) for line in lines[1:]))) + "\n"


def _minimal(answer: Answer) -> Iterator[str]:
    yield f"{answer.verdict} {answer.code}"
    for outcome in answer.outcomes:
        yield outcome_line(outcome)


def outcome_line(outcome: Outcome) -> str:
    """Return `WEIGHT DISPOSITION CODE ENDPOINT sees SOURCE` of an outcome."""
    parts = [str(outcome.probability), outcome.disposition, outcome.code]
    if outcome.endpoint is not None:
        parts.append(outcome.endpoint.text)
        if outcome.server_sees is not None:
            parts.append(f"sees {format_ip(outcome.endpoint.family, outcome.server_sees)}")
        parts += ["snat"] * outcome.snat + ["cniSnat"] * outcome.cni_snat
    return " ".join(parts)


def _heading(answer: Answer) -> Iterator[str]:
    yield f"{answer.verdict} {answer.code}: {answer.summary}"
    asked = answer.asked
    client = f"{asked.source} ({asked.client})" if asked.client not in ("", asked.source) else asked.source
    dialled = f"{asked.dialled}/{asked.protocol}" if asked.dialled else asked.protocol
    target = dialled if asked.target in (asked.dialled, dialled) else f"{asked.target} = {dialled}"
    via = f" via {asked.via}" if asked.via else ""
    yield f"{client} -> {target}{via}, kube-proxy mode {asked.mode}"


def lookup_lines(lookup: Lookup) -> Iterator[str]:
    """Yield what was asked of DNS, and where the questions went."""
    found = ", ".join(lookup.addresses) or lookup.code
    wasted = sum(1 for question in lookup.questions if not question.answers)
    asked = f"{len(lookup.questions)} questions, {wasted} in vain" if lookup.questions else "no question"
    yield f"DNS {lookup.name} -> {found} ({asked})"
    for server, path in lookup.paths:
        places = ", ".join(f"{o.probability} {_whose(o)}" for o in path.outcomes[:4])
        yield f"  questions to {server}:53/udp: {path.verdict} {places}"


def _whose(outcome: Outcome) -> str:
    place = outcome.endpoint
    return f"{outcome.disposition} {outcome.code}" if place is None else place.pod or place.text


def _summary(answer: Answer, *, back: bool, replay: str) -> list[str]:
    """Return what matters first and last in full; the steps in between get the lines that are left."""
    head = [*_heading(answer), *(lookup_lines(answer.lookup) if answer.lookup else ()), *http_lines(answer.http)]
    outcomes = answer.outcomes
    ways = [list(_way(outcome.hops)) for outcome in outcomes]
    shared = len(ways[0]) if len(outcomes) == 1 else _common(ways)
    rest = [*_branches(answer, [way[shared:] for way in ways]), *_seen_by(outcomes), *_answers(outcomes, back=back)]
    rest += [*_why_not(answer), *(f"hint {hint.code}: {hint.text}" for hint in answer.hints)]
    rest += [f"replay: {replay}"] if replay else []
    room = max(MOST_LINES - len(head) - len(rest), FEWEST_STEPS)
    return [*head, *_clipped(ways[0][:shared], room), *rest]


def _branches(answer: Answer, own: Sequence[Sequence[str]]) -> Iterator[str]:
    outcomes = answer.outcomes
    for outcome, way, entry in list(zip(outcomes, own, entry_nodes(outcomes), strict=True))[:MOST_BRANCHES]:
        yield _branch(outcome, way, answer, entry)
    if len(outcomes) > MOST_BRANCHES:
        rest = outcomes[MOST_BRANCHES:]
        yield f"  … and {len(rest)} more, {sum(o.probability for o in rest)} together"


def http_lines(steps: Sequence[HttpStep]) -> Iterator[str]:
    """Yield what proxies decided, and the certificates that they presented, each once."""
    yield from (f"HTTP from {step.client}: {step.text}" for step in steps)
    yield from dict.fromkeys(f"TLS {step.certificate}" for step in steps if step.certificate)


def entry_nodes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return for each outcome the first node on its way, "" for all when they have one in common."""
    found = [next((h.machine.name for h in o.hops if h.machine.host.kind == "node"), "") for o in outcomes]
    return found if len(set(found)) > 1 else [""] * len(found)


def _clipped(lines: Sequence[str], most: int) -> Iterator[str]:
    kept = lines if len(lines) <= most else lines[: most - 1]
    yield from kept
    if len(kept) < len(lines):
        yield f"    … {len(lines) - len(kept)} more lines with --detail full"


def _common(ways: Sequence[Sequence[str]]) -> int:
    """Return how many lines all ways share at their beginning."""
    shortest = min(len(way) for way in ways)
    return next((i for i in range(shortest) if len({way[i] for way in ways}) > 1), shortest)


def _way(hops: Sequence[Hop]) -> Iterator[str]:
    for number, hop in enumerate(hops, 1):
        yield hop_line(number, hop)
        yield from (step_line(step) for step in steps_of(hop) if telling(step))


def hop_line(number: int, hop: Hop) -> str:
    """Return `N NETNS, in INTERFACE` of one host."""
    return f"{number} {_place_name(hop)}" + (f", in {hop.port}" if hop.port else "")


def _place_name(hop: Hop) -> str:
    host = hop.machine.host
    return f"pod {'/'.join(host.pod)} on {host.node}" if host.kind == "pod" and host.pod else host.name


def _out(hop: Hop) -> str:
    end = hop.passage.end
    return f", out {end.interface}" if isinstance(end, Sent) else ""


def telling(step: Step) -> bool:
    """Whether a step is worth a line by default: it changed the packet, ended it, or was made for a Service."""
    if step.before != step.after or step.rule is None:
        return True
    if step.verdict.startswith(("DROP", "REJECT", "ACCEPT", "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "IPVS")):
        return True
    origin = step.origin
    return origin is not None and bool(origin.kind) and step.verdict.startswith(("JUMP", "GOTO", "goto", "jump"))


def step_line(step: Step) -> str:
    """Return `HOOK table CHAIN: effect  [origin]` of one step."""
    change = difference(step.before, step.after)
    effect = f"{step.verdict}, {change}" if change and change not in step.verdict else step.verdict
    share = f" ({step.choice})" if step.choice != "1" else ""
    place = f"{step.hook} {step.table} {step.chain}".strip()
    return f"    {place}: {effect}{share}{_origin(step)}"


def _origin(step: Step) -> str:
    origin = step.origin
    if origin is not None and origin.kind:
        return f"  [{origin}]"
    return UNEXPLAINED if step.program == "dump" and origin is None and step.rule else ""


def difference(before: Packet, after: Packet) -> str:
    """Return what changed in the header, "" when nothing did."""
    parts = []
    if (before.dst, before.dport) != (after.dst, after.dport):
        parts.append(f"{before.destination_text} => {after.destination_text}")
    if before.src != after.src or before.sport != after.sport:
        parts.append(f"source {format_ip(before.family, before.src)} => {format_ip(after.family, after.src)}")
    return ", ".join(parts)


def _branch(outcome: Outcome, own: Iterable[str], answer: Answer, entry: str) -> str:
    place = outcome.endpoint or outcome.reached
    where = ""
    if place is not None:
        owner = " on ".join(part for part in (place.pod, place.node) if part)
        where = f" {place.text}" + (f" ({owner})" if owner else "")
    translated = next((line.strip() for line in own if place is not None and _leads_to(place, line)), "")
    by = f"  by {_chain(translated)}{_bracketed(translated)}" if translated else ""
    failed = "" if outcome.disposition == "DELIVERED" else f" {outcome.code}: {reason(outcome, answer.asked)}"
    through = f" via {entry}" if entry else ""
    return f"  {outcome.probability!s:>5} {outcome.disposition}{where}{through}{by}{failed}"


def _leads_to(place: Place, line: str) -> bool:
    """Whether a step's line translates to a place: that of an earlier connection (to a proxy) does not."""
    return place.text in line.replace(",", " ").split() and ("DNAT" in line or "IPVS" in line)


def _chain(line: str) -> str:
    """Return the chain of a step's line, `HOOK table CHAIN: …`."""
    return line.split(": ")[0].split()[-1]


def _bracketed(line: str) -> str:
    start = line.find("  [")
    return "" if start < 0 else line[start:]


def _seen_by(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say which source the servers see, and why."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.endpoint is not None and outcome.server_sees is not None:
            line = f"server sees {format_ip(outcome.endpoint.family, outcome.server_sees)}: {source_reason(outcome)}"
            found.setdefault(line, []).append(outcome.endpoint.text)
    for line, places in list(found.items())[:MOST_SOURCES]:
        yield line if len(found) == 1 else f"{line} (at {', '.join(places[:3])}{' …' if len(places) > 3 else ''})"
    if len(found) > MOST_SOURCES:
        yield f"server sees {len(found) - MOST_SOURCES} more sources, with --detail full"


def source_reason(outcome: Outcome) -> str:
    """Return why the server sees the source it sees."""
    marked, translated = "", None
    hops = list(outcome.hops)
    # A hop without an interface sends by itself: a second one is a proxy that opens a connection of its own.
    last = max((number for number, hop in enumerate(hops) if not hop.port), default=0)
    for hop in hops[last:]:
        asked = ""
        for step in steps_of(hop):
            if step.verdict.endswith(MARKING):
                asked = step.chain
            if step.before.mark != step.after.mark and step.after.mark:
                marked = asked or step.chain
            if step.before.ct_snat != step.after.ct_snat:
                translated = step, hop
    if translated is None:
        if marked:
            return f"the client's own; {marked} marks it, but what is delivered on the node skips POSTROUTING"
        whose = f"{_place_name(hops[last])}, the proxy, connects" if last else "the client's own"
        return f"{whose}, no rule translates it"
    step, hop = translated
    if hop.passage.nat.snat_by == "cni":
        return f"the CNI of {hop.machine.name} masquerades what leaves the cluster"
    return f"{step.chain} masquerades on {hop.machine.name}" + (f", marked by {marked}" if marked else "")


def _answers(outcomes: Sequence[Outcome], *, back: bool) -> Iterator[str]:
    """Say how the answers come back, those that take the same way together."""
    found: dict[str, int] = {}
    for outcome in outcomes:
        lost = outcome.code == "ASYMMETRIC_RETURN"
        if outcome.back and (back or lost):
            line = f"answer {'is lost' if lost else 'comes back'}: {_way_back(outcome.back)}"
            found[line] = found.get(line, 0) + 1
    for line, count in list(found.items())[:MOST_ANSWERS]:
        yield line if len(outcomes) == 1 else f"{line} ({count} of {len(outcomes)})"
    if len(found) > MOST_ANSWERS:
        yield f"answers take {len(found) - MOST_ANSWERS} more ways, with --detail full"


def _way_back(hops: Sequence[Hop]) -> str:
    first = "server" if hops[0].machine.host.kind in ("pod", "outside") else hops[0].machine.name
    names = [first, *(hop.machine.name for hop in hops[1:])]
    undone = [hop.machine.name for hop in hops if hop.packet.header != hop.out.header]
    return " -> ".join(names) + (f", translated back on {', '.join(undone)}" if undone else "")


def _why_not(answer: Answer) -> Iterator[str]:
    """Name the rule that decided each failure."""
    found: dict[str, None] = {}
    for outcome in answer.outcomes:
        if outcome.rule is not None:
            origin = outcome.rule.origin
            where = UNEXPLAINED if origin is None else f"  [{origin}]" if origin.kind else ""
            found[f"because of {outcome.rule.table} {outcome.rule.text}{where}"] = None
    yield from list(found)[:3]


def _full(answer: Answer, *, back: bool) -> Iterator[str]:
    yield from _heading(answer)
    if answer.lookup is not None:
        yield from lookup_lines(answer.lookup)
    yield from http_lines(answer.http)
    for outcome in answer.outcomes:
        yield f"outcome {outcome_line(outcome)}"
        yield from _whole_way(outcome.hops)
        if back and outcome.back:
            yield "  answer"
            yield from _whole_way(outcome.back)
        if outcome.endpoint is not None:
            yield f"  server sees its client because: {source_reason(outcome)}"
    yield from _why_not(answer)
    yield from (f"hint {hint.code}: {hint.text}" for hint in answer.hints)


def _whole_way(hops: Sequence[Hop]) -> Iterator[str]:
    for number, hop in enumerate(hops, 1):
        yield f"  {hop_line(number, hop)}{_out(hop)}"
        for step in steps_of(hop, full=True):
            yield f"  {step_line(step)}"
            yield f"          {step.text if step.rule is None else step.rule.text}"
