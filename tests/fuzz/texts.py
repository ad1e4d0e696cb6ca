"""Mutated texts against what reads them: rule dumps, Corefiles, resolver files, upstream answers, kube-proxy's config.

`python -m tests.fuzz.texts --cases 20000 --seed 1`. The laws are those of `verbs`; `python -m iptables_gen` is run in
process too. The suite runs a bounded sample.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from iptables_gen.__main__ import main as run_dumps
from tests.fuzz import mutate, verbs
from tests.fuzz.mutate import ADDRESSES, HOSTILE, NETWORKS, NUMBERS
from tests.fuzz.verbs import ROOT, Outcome, broken_law

SHOP = str(ROOT / "topologies" / "shop")
CONFORMANCE = ROOT / "tests" / "conformance"
WORDS = (
    "-A", "-j", "-m", "!", "-p", "tcp", "--dport", "-s", "-d", "DNAT", "MASQUERADE", "REJECT", "COMMIT", "*nat",
    ":x - [0:0]",
    "--probability", "1e-999999999", "0.33333333349", "table", "ip", "chain", "{", "}", "{", "}", ";", "numgen",
    "random", "mod",
    "0", "map", "vmap", "@set", "drop", "accept", "jump", "goto", "ct", "state", "0x4000/0x4000", "0xffffffffff",
    "comment",
    "kubernetes", "forward", ".", "/etc/resolv.conf", "cache", "ttl", "fallthrough", "pods", "verified", "import",
    "errors",
    "nameserver", "search", "options", "ndots:99999999999", "timeout:-1", "hosts:", "files", "[NOTFOUND=return]",
    "apiVersion:",
    "mode:", "nftables", "null", "[]", "{}", '"', "'", "\\", "$", "#", "%", "&a", "*a", "|", ">", "-", "---",
    "!!binary",
)  # fmt: skip
COREFILE = """.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    hosts { 10.0.0.1 a.example
        fallthrough
    }
    forward . /etc/resolv.conf { max_concurrent 1000 }
    cache 30 { disable success cluster.local }
    loadbalance
}
"""
CONFIG = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: 10.244.0.0/16
detectLocalMode: ClusterCIDR
iptables: {masqueradeAll: true, masqueradeBit: 14, localhostNodePorts: false}
ipvs: {scheduler: rr, strictARP: true, excludeCIDRs: [10.0.0.0/8]}
nodePortAddresses: [10.0.0.0/8]
conntrack: {tcpBeLiberal: true}
"""
Reader = Callable[[Path, random.Random], list[str]]


def samples() -> dict[str, list[str]]:
    """Return texts by what reads them."""
    cases = sorted((CONFORMANCE / "kube-proxy").glob("*/*-node-1"))[::7]
    ipvs = sorted((CONFORMANCE / "kube-proxy").glob("*/ipvs-node-1"))[::9]
    dumps = [
        p.read_text()
        for case in cases
        for p in sorted(case.iterdir())
        if p.suffix == ".txt" and p.stat().st_size < 30_000
    ]
    return {
        "dump": [text for text in dumps if "*nat" in text or "table " in text],
        "ruleset": [text for text in dumps if "*nat" in text or "table " in text],
        "ipvs": [(case / name).read_text() for case in ipvs for name in ("ipvsadm.txt", "ipset.txt", "addrs.txt")],
        "listing": [(ROOT / "tests" / "fuzz" / "nft_listing.json").read_text()],
        "corefile": [COREFILE, *(path.read_text() for path in sorted(CONFORMANCE.glob("dns/*/corefile")))],
        "upstream": [path.read_text() for path in sorted(CONFORMANCE.glob("dns/*/upstream.json"))],
        "resolver": ["nameserver 10.96.0.10\nsearch a.example b.example\noptions ndots:5 timeout:1\n",
                     "hosts: files dns\n",
                     "127.0.0.1 localhost\n10.0.0.1 a a.example\n"],
        "config": [CONFIG],
    }  # fmt: skip


def mutated(text: str, rng: random.Random) -> bytes:
    """Return a text after some edits of words, lines and bytes."""
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        words = lines[at].split(" ")
        word = rng.randrange(len(words))
        new = str(rng.choice((*WORDS, *HOSTILE, *ADDRESSES, *NETWORKS, *NUMBERS)))
        match rng.randrange(9):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case 3:
                words.insert(word, new)
                lines[at] = " ".join(words)
            case 4:
                del words[word]
                lines[at] = " ".join(words)
            case 5:
                spot = rng.randrange(len(text) + 1)
                lines = (text[:spot] + new + text[spot + rng.randrange(3) :]).split("\n")
            case _:
                words[word] = new
                lines[at] = " ".join(words)
        text = "\n".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.05:
        spot = rng.randrange(len(data) + 1)
        data = data[:spot] + bytes([rng.randrange(256)]) + data[spot:]
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.05 else data


def restructured(text: str, rng: random.Random) -> object:
    """Return a JSON text's value after some structural mutations."""
    return mutate.mutated([json.loads(text)], rng, rounds=rng.choice((1, 2, 4, 8)))[0]


def command_line(kind: str, path: Path, rng: random.Random) -> list[str]:
    """Return the words that make a verb read a text."""
    form = ["-o", rng.choice(("text", "json"))]
    asked = ["dns", "-f", SHOP, "api.shop.svc.cluster.local", "A", *form]
    match kind:
        case "ruleset" | "listing" | "ipvs":
            mode = ["--proxy-mode", {"ruleset": "iptables", "listing": "nftables"}.get(kind, kind)]
            target = rng.choice(("svc/shop/api:80", "10.96.0.10:80", "192.168.10.1:30080"))
            return [
                "trace",
                "-f",
                SHOP,
                rng.choice(("pod/shop/cart-0", "external")),
                target,
                "--ruleset",
                f"node-1={path}",
                *mode,
                *form,
            ]
        case "corefile":
            return [*asked, "--corefile", str(path)]
        case "upstream":
            return [
                "dns",
                "-f",
                SHOP,
                rng.choice(("example.com", "www.example.com")),
                "ANY",
                "--upstream",
                str(path),
                *form,
            ]
        case "config":
            return ["compile", "-f", SHOP, "--node", "node-1", "--config", str(path), "-o", "json"]
        case _:
            files = [rng.choice(("--resolv-conf", "--hosts", "--nsswitch")), str(path)]
            return [
                "dns",
                "-f",
                SHOP,
                "--lookup",
                "api.shop",
                *files,
                "--libc",
                rng.choice(("glibc", "musl", "go")),
                *form,
            ]


def dump_words(path: Path, rng: random.Random) -> list[str]:
    """Return a command line of `python -m iptables_gen`."""
    match rng.randrange(3):
        case 0:
            return ["fmt", str(path), "--style", rng.choice(("save", "restore"))]
        case 1:
            return ["explain", str(path), rng.choice(("KUBE-SERVICES", "service-ips", *HOSTILE))]
        case _:
            packet = rng.choice(
                ("tcp 10.0.0.1:1234 > 10.96.0.10:80", "udp 10.0.0.1:1 > 10.96.0.10:53", rng.choice(HOSTILE))
            )
            return [
                "eval",
                str(path),
                "--hook",
                rng.choice(("PREROUTING", "OUTPUT", "POSTROUTING")),
                "--packet",
                packet,
            ]


def run_dump(words: Sequence[str]) -> Outcome:
    """Run `python -m iptables_gen` in this process with captured standard streams."""

    def main(given: list[str]) -> int:
        try:
            return run_dumps(given)
        except SystemExit as stop:
            return int(stop.code or 0)

    return replace(verbs.run(words, main=main), words=("iptables_gen", *words))


def one_case(texts: dict[str, list[str]], path: Path, rng: random.Random) -> tuple[Outcome, str]:
    """Run one mutated text; return what happened and the law broken."""
    kind = rng.choice(sorted(texts))
    text = rng.choice(texts[kind])
    structured = kind == "listing" and rng.random() < 0.8
    path.write_bytes(json.dumps(restructured(text, rng)).encode() if structured else mutated(text, rng))
    outcome = run_dump(dump_words(path, rng)) if kind == "dump" else verbs.run(command_line(kind, path, rng))
    law = broken_law(outcome)
    # A dump is printed as it is, whatever is in it.
    return outcome, "" if kind == "dump" and "control characters in text" in law else law


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    texts, broken, start = samples(), dict[str, int](), time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "c.input"
        for case in range(given.cases):
            outcome, law = one_case(texts, path, random.Random(f"{given.seed}/{case}"))
            if law:
                broken[law] = broken.get(law, 0) + 1
                if given.keep and broken[law] <= 3:
                    verbs.keep(given.keep, f"{given.seed}-{case}", law, outcome, path.read_bytes())
    for law, times in sorted(broken.items()):
        print(f"{times:6} {law}")
    print(f"{given.cases} texts, {time.process_time() - start:.0f} s of CPU", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
