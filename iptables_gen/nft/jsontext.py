"""`nft -j list ruleset`: each JSON form is put into nft's words, which the one grammar of `text` then reads.

Source: libnftables-json(5). The JSON of nft 1.0.6 leaves out comments of tables and chains and the flag `dynamic`.
Raises: RulesetSyntaxError for a document that is no listing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.nft.ir import Tables
from iptables_gen.nft.text import parse

Form = Mapping[str, Any]


def parse_json(document: object, file: str = "-") -> Tables:
    """Return the tables of a decoded listing."""
    entries = document.get("nftables") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise RulesetSyntaxError("no list 'nftables': this is not the output of nft -j", file=file)
    lines = [line for entry in entries if isinstance(entry, Mapping) for line in _lines(entry, file)]
    return parse("".join(line + "\n" for line in lines), file)


def _lines(entry: Form, file: str) -> list[str]:
    try:
        return list(_command(entry))
    except (AttributeError, LookupError, RuntimeError, StopIteration, TypeError, ValueError) as error:
        # The forms are taken apart as nft -j prints them; whatever else JSON can say ends here.
        shown = json.dumps(entry, ensure_ascii=False, default=str)[:200]
        raise RulesetSyntaxError(
            f"not as nft -j prints it ({type(error).__name__}: {error}): {shown}", file=file
        ) from error


def _command(entry: Form) -> Iterable[str]:
    for kind, body in entry.items():
        writer = _OBJECTS.get(kind)
        if writer is not None and isinstance(body, Mapping):
            yield writer(body)


def _where(body: Form) -> str:
    return f"{body['family']} {body['table']}"


def _quoted(text: object) -> str:
    # nft strings cannot hold a quote, a line end would end the command.
    return '"' + str(text).replace('"', "'").replace("\n", " ") + '"'


def _comment(body: Form) -> str:
    return f" comment {_quoted(body['comment'])}" if body.get("comment") else ""


def _table(body: Form) -> str:
    block = f" {{{_comment(body)} ; }}" if body.get("comment") else ""
    return f"add table {body['family']} {body['name']}{block}"


def _chain(body: Form) -> str:
    clauses = []
    if "hook" in body:
        device = f" device {_quoted(body['dev'])}" if isinstance(body.get("dev"), str) else ""
        clauses.append(f"type {body['type']} hook {body['hook']}{device} priority {body['prio']} ;")
        clauses.append(f"policy {body.get('policy', 'accept')} ;")
    if body.get("comment"):
        clauses.append(_comment(body).strip() + " ;")
    block = f" {{ {' '.join(clauses)} }}" if clauses else ""
    return f"add chain {_where(body)} {body['name']}{block}"


def _types(value: object) -> str:
    return " . ".join(map(str, value)) if isinstance(value, list) else str(value)


def _set(word: str, body: Form) -> str:
    kind = body.get("type")
    data = f" : {_types(body['map'])}" if word == "map" else ""
    spelled = isinstance(kind, str | list)
    clauses = [f"type {_types(kind)}{data}" if spelled else f"typeof {_value(kind)}{data}"]
    clauses += [f"size {body['size']}"] if "size" in body else []
    clauses += [f"flags {','.join(_listed(body['flags']))}"] if body.get("flags") else []
    clauses += [f"timeout {body['timeout']}s"] if "timeout" in body else []
    clauses += ["auto-merge"] if body.get("auto-merge") else []
    clauses += [_comment(body).strip()] if body.get("comment") else []
    clauses += [f"elements = {_braces(body['elem'])}"] if body.get("elem") else []
    return f"add {word} {_where(body)} {body['name']} {{ {' ; '.join(clauses)} ; }}"


def _listed(value: Any) -> Sequence[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _rule(body: Form) -> str:
    text = " ".join(_statement(form) for form in body.get("expr", ()))
    return f"add rule {_where(body)} {body['chain']} {text}{_comment(body)}"


_OBJECTS: Mapping[str, Callable[[Form], str]] = {
    "table": _table,
    "chain": _chain,
    "set": lambda body: _set("set", body),
    "map": lambda body: _set("map", body),
    "rule": _rule,
}


def _statement(form: Form) -> str:
    if not isinstance(form, Mapping) or len(form) != 1:
        return _unknown(form)
    [(kind, body)] = form.items()
    writer = _STATEMENTS.get(kind)
    try:
        return writer(body) if writer is not None else _unknown(form)
    except (KeyError, TypeError, ValueError):
        return _unknown(form)


def _unknown(form: object) -> str:
    """Return words that the grammar keeps as one Opaque; braces and quotes of the JSON would not survive it."""
    text = json.dumps(form, sort_keys=True)
    return "json " + "".join(c if c.isalnum() or c in "-_./" else " " for c in text)


def _match(body: Form) -> str:
    sign = {"==": "", "in": ""}.get(body["op"], f"{body['op']} ")
    right = body["right"]
    words = ",".join(map(str, right)) if isinstance(right, list) else _value(right)
    return f"{_value(body['left'])} {sign}{words}"


def _verdict(kind: str) -> Callable[[Any], str]:
    return lambda body: f"{kind} {body['target']}" if isinstance(body, Mapping) else kind


def _nat(kind: str) -> Callable[[Any], str]:
    def write(body: Any) -> str:
        flags = f" {','.join(_listed(body['flags']))}" if body.get("flags") else ""
        family = f" {body['family']}" if body.get("family") and isinstance(body["addr"], Mapping) else ""
        address = _value(body["addr"])
        if "port" not in body:
            return f"{kind}{family} to {address}{flags}"
        host = f"[{address}]" if ":" in address and " " not in address else address
        return f"{kind}{family} to {host}:{_value(body['port'])}{flags}"

    return write


def _flagged(kind: str) -> Callable[[Any], str]:
    def write(body: Any) -> str:
        given = body if isinstance(body, Mapping) else {}
        port = f" to :{_value(given['port'])}" if "port" in given else ""
        return kind + port + (f" {','.join(_listed(given['flags']))}" if given.get("flags") else "")

    return write


def _reject(body: Any) -> str:
    if not isinstance(body, Mapping) or not body:
        return "reject"
    if body["type"] == "tcp reset":
        return "reject with tcp reset"
    if body["type"] in ("icmp", "icmpv6") and body["expr"] == "port-unreachable":
        return "reject"
    return f"reject with {body['type']} {body['expr']}"


def _counter(body: Any) -> str:
    if isinstance(body, Mapping):
        return f"counter packets {body['packets']} bytes {body['bytes']}"
    return f"counter name {_quoted(body)}" if isinstance(body, str) else "counter"


def _log(body: Any) -> str:
    given = body if isinstance(body, Mapping) else {}
    prefix = f" prefix {_quoted(given['prefix'])}" if "prefix" in given else ""
    return f"log{prefix}" + (f" level {given['level']}" if "level" in given else "")


def _limit(body: Form) -> str:
    over = "over " if body.get("inv") else ""
    burst = f" burst {body['burst']} packets" if body.get("burst") else ""
    return f"limit rate {over}{body['rate']}/{body['per']}{burst}"


def _extension(body: Form) -> str:
    """Return an extension of iptables: JSON has its name alone, which is enough for those without a condition."""
    match body["type"], body["name"]:
        case "match", "comment":
            return 'xt match "comment"'
        case "target", "MASQUERADE":
            return "masquerade"
        case _:
            raise KeyError(body["name"])


def _update(body: Form) -> str:
    element = body["elem"]
    return f"{body['op']} {body['set']} {{ {_element(element)} }}"


_STATEMENTS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "vmap": lambda body: f"{_value(body['key'])} vmap {_value(body['data'])}",
    "mangle": lambda body: f"{_value(body['key'])} set {_value(body['value'])}",
    **{kind: _verdict(kind) for kind in ("accept", "drop", "return", "continue", "jump", "goto")},
    "dnat": _nat("dnat"),
    "snat": _nat("snat"),
    "masquerade": _flagged("masquerade"),
    "redirect": _flagged("redirect"),
    "reject": _reject,
    "counter": _counter,
    "log": _log,
    "limit": _limit,
    "set": _update,
    "notrack": lambda body: "notrack",
    "xt": _extension,
}


def _value(value: Any) -> str:
    """Return an expression in words; raise KeyError for one that has no words here."""
    if isinstance(value, bool):
        return "exists" if value else "missing"
    if isinstance(value, int | str):
        return str(value) if not isinstance(value, str) or _plain(value) else _quoted(value)
    if isinstance(value, list):
        return ",".join(map(_value, value))
    [(kind, body)] = value.items()
    return _EXPRESSIONS[kind](body)


def _plain(text: str) -> bool:
    return bool(text) and not any(c in ' "{};,\n' for c in text)


def _braces(elements: Iterable[Any]) -> str:
    return "{ " + " , ".join(_element(element) for element in elements) + " }"


def _element(element: Any) -> str:
    if isinstance(element, list):
        return f"{_element(element[0])} : {_data(element[1])}"
    if isinstance(element, Mapping) and "elem" in element:
        body = element["elem"]
        timeout = f" timeout {body['timeout']}s" if "timeout" in body else ""
        expires = f" expires {body['expires']}s" if "expires" in body else ""
        return f"{_value(body['val'])}{timeout}{expires}{_comment(body)}"
    return _value(element)


def _data(data: Any) -> str:
    return _statement(data) if isinstance(data, Mapping) and next(iter(data)) in _STATEMENTS else _value(data)


def _bits(sign: str) -> Callable[[Any], str]:
    return lambda body: f" {sign} ".join(map(_value, body))


def _fib(body: Form) -> str:
    return f"fib {' . '.join(_listed(body['flags']))} {body['result']}"


def _numgen(body: Form) -> str:
    offset = f" offset {body['offset']}" if body.get("offset") else ""
    return f"numgen {body['mode']} mod {body['mod']}{offset}"


_EXPRESSIONS: Mapping[str, Callable[[Any], str]] = {
    "payload": lambda body: f"{body['protocol']} {body['field']}",
    "meta": lambda body: f"meta {body['key']}",
    "ct": lambda body: f"ct {body['dir']} {body['key']}" if "dir" in body else f"ct {body['key']}",
    "fib": _fib,
    "numgen": _numgen,
    "concat": lambda body: " . ".join(map(_value, body)),
    "prefix": lambda body: f"{_value(body['addr'])}/{body['len']}",
    "range": lambda body: f"{_value(body[0])}-{_value(body[1])}",
    "set": _braces,
    "map": lambda body: f"{_value(body['key'])} map {_value(body['data'])}",
    "&": _bits("&"),
    "|": _bits("|"),
    "^": _bits("^"),
}
