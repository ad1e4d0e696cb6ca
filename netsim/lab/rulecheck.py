"""Rule by rule: one packet a question, the kernel's trace of it beside the model's steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from netsim.hosts.network import Network
from netsim.lab import state
from netsim.lab.probe import Probe
from netsim.lab.questions import UNVERIFIABLE, Question
from netsim.lab.sidebyside import Comparison, ages_of, compare_steps
from netsim.lab.tracing import Traced, trace_all
from netsim.lab.verify import PATIENCE, PAUSE, has_affinity, predicted, probe_for, query_of, restore_ways, send_ways
from netsim.trace.answer import Answer
from netsim.trace.tracer import Tracer

Checked = tuple[Question, Comparison]


def check_rules(
    lab: state.LabState, network: Network, tracer: Tracer, questions: Sequence[Question]
) -> Iterator[Checked]:
    """Yield each question that can be asked with what kernel and model did; a packet that differs is sent once more."""
    plain = [question for question in questions if question.protocol not in UNVERIFIABLE]
    for via in dict.fromkeys(question.via for question in plain):
        group = [question for question in plain if question.via == via]
        if via is not None:
            send_ways(lab, network, group, via)
        found = dict(_group(lab, tracer, group, PATIENCE))
        again = [question for question, comparison in found.items() if not comparison.agrees]
        if again:
            time.sleep(PAUSE)
            found.update(_group(lab, tracer, again, PATIENCE))
        yield from found.items()
    restore_ways(lab, network)


def _group(lab: state.LabState, tracer: Tracer, group: Sequence[Question], patience: float) -> Iterator[Checked]:
    probes = [_probe(lab, tracer, question, patience) for question in group]
    for question, traced in zip(group, trace_all(lab, probes) if probes else (), strict=True):
        yield question, compare_steps(traced, _answer(tracer, question, traced))


def _probe(lab: state.LabState, tracer: Tracer, question: Question, patience: float) -> Probe:
    """Return the probe of a question; a sticky Service's is sent alone, even where no answer comes back."""
    probe = probe_for(lab, tracer, question, predicted(tracer, question), patience)
    return replace(probe, sequence=question.service) if has_affinity(tracer, question) else probe


def _answer(tracer: Tracer, question: Question, traced: Traced) -> Answer:
    """Return the model's answer, given the clients that the kernel's affinity tables held before the packet."""
    return tracer.trace(query_of(question), ages_of(traced.remembered) or None)
