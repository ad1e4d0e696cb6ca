"""Text both ways: transactions (`nft -f` input of one command a line) and listings (`nft list ruleset`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from iptables_gen.errors import RulesetSyntaxError
from iptables_gen.nft.ir import (
    PRIORITIES,
    Base,
    Chain,
    ChainRule,
    Command,
    Elements,
    Rule,
    Table,
    Tables,
    Thing,
    Verb,
    apply,
)
from iptables_gen.nft.lexer import Words, tokens
from iptables_gen.nft.literals import Style
from iptables_gen.nft.rules import parse_elements, parse_operand, parse_rule
from iptables_gen.nft.sets import SetDefinition, parse_time

T = TypeVar("T")
_FAMILIES = frozenset({"ip", "ip6", "inet", "arp", "bridge", "netdev"})
_VERBS: dict[str, Verb] = {
    "add": "add",
    "create": "create",
    "insert": "insert",
    "delete": "delete",
    "destroy": "destroy",
    "flush": "flush",
}


_KINDS = frozenset({"table", "chain", "set", "map", "element", "rule"})


def render_commands(commands: Iterable[Command]) -> str:
    """Return the transaction's text, one command a line."""
    return "".join([render_command(command) + "\n" for command in commands])


def render_command(command: Command) -> str:
    """Return one command without the line's end."""
    where = f"{command.family} {command.table}"
    match command.thing:
        case None:
            block = f' {{ comment "{command.comment}" ; }}' if command.comment and command.verb == "add" else ""
            return f"{command.verb} table {where}{block}"
        case ChainRule(chain, rule):
            return f"{command.verb} rule {where} {chain} {rule.render(Style.INPUT)}"
        case Elements(name, _, elements):
            listed = " , ".join([element.render(Style.INPUT) for element in elements])
            return f"{command.verb} element {where} {name} {{ {listed} }}"
        case Chain() as chain:
            return f"{command.verb} chain {where} {chain.name}{_chain_block(command.verb, chain)}"
        case SetDefinition() as definition:
            return f"{command.verb} {definition.word} {where} {definition.name}{_set_block(command.verb, definition)}"


def _chain_block(verb: Verb, chain: Chain) -> str:
    if verb in ("delete", "destroy", "flush") or not (chain.base or chain.comment):
        return ""
    base = [chain.base.render(Style.INPUT)] if chain.base else []
    comment = [f'comment "{chain.comment}" ;'] if chain.comment else []
    return " { " + " ".join([*base, *comment]) + " }"


def _set_block(verb: Verb, definition: SetDefinition) -> str:
    if verb in ("delete", "destroy", "flush"):
        return ""
    return " { " + "".join(f"{clause} ; " for clause in definition.clauses(Style.INPUT)) + "}"


def render_tables(tables: Iterable[Table]) -> str:
    """Return the tables as `nft list ruleset` lists them."""
    return "".join(_render_table(table) for table in tables)


def _render_table(table: Table) -> str:
    head = [f"table {table.family} {table.name} {{"]
    lines = [f"\tflags {','.join(table.flags)}"] if table.flags else []
    lines += [f'\tcomment "{table.comment}"'] if table.comment else []
    blocks = [*table.opaque, *map(_render_set, table.sets.values()), *map(_render_chain, table.chains.values())]
    return "\n".join([*head, *lines, "\n\n".join(blocks) + "\n}\n"] if blocks else [*head, *lines, "}\n"])


def _render_set(definition: SetDefinition) -> str:
    lines = [f"\t{definition.word} {definition.name} {{"]
    lines += [f"\t\t{clause}" for clause in definition.clauses(Style.LIST)]
    if definition.elements:
        listed = ",\n\t\t\t     ".join(element.render(Style.LIST) for element in definition.elements)
        lines.append(f"\t\telements = {{ {listed} }}")
    return "\n".join([*lines, "\t}"])


def _render_chain(chain: Chain) -> str:
    lines = [f"\tchain {chain.name} {{"]
    lines += [f'\t\tcomment "{chain.comment}"'] if chain.comment else []
    lines += [f"\t\t{chain.base.render(Style.LIST)}"] if chain.base else []
    lines += [f"\t\t{rule.render(Style.LIST)}" for rule in chain.rules]
    return "\n".join([*lines, "\t}"])


def parse(text: str, file: str = "-") -> Tables:
    """Read a transaction or a listing (they may be mixed, as `nft -f` allows) and return the tables it leaves.

    Raises: RulesetSyntaxError with file, line and column.
    """
    words = Words(list(tokens(text)), text, file)
    listed: Tables = {}
    commands: list[Command] = []
    words.skip_breaks()
    while not words.done:
        if words.peek() == "table":
            table = _placed(words, _parse_table)
            listed[table.family, table.name] = table
        elif (words.peek(), words.peek(1)) == ("flush", "ruleset"):
            words.at += 2
            listed.clear()
            commands.clear()
        else:
            commands.append(_placed(words, _parse_command))
        words.skip_breaks()
    return {**listed, **_applied(commands, words)}


def parse_commands(text: str, file: str = "-") -> tuple[Command, ...]:
    """Read a transaction and keep its commands in order.

    Raises: RulesetSyntaxError with file, line and column.
    """
    words = Words(list(tokens(text)), text, file)
    commands: list[Command] = []
    words.skip_breaks()
    while not words.done:
        commands.append(_placed(words, _parse_command))
        words.skip_breaks()
    return tuple(commands)


def _placed(words: Words, read: Callable[[Words], T]) -> T:
    """Return what *read* reads; values that are none (numbers of thousands of digits) get their place here."""
    try:
        return read(words)
    except RulesetSyntaxError:
        raise
    except ValueError as error:
        raise words.error(str(error)) from error


def _applied(commands: list[Command], words: Words) -> Tables:
    try:
        return apply(commands)
    except KeyError as error:
        raise words.error(f"a command names {error.args[0]!r}, which no earlier command made") from None


def _table_name(words: Words) -> tuple[str, str]:
    family = words.take() if words.peek() in _FAMILIES else "ip"
    return family, words.take()


def _parse_command(words: Words) -> Command:
    verb = _VERBS.get(words.peek())
    if verb is None:
        raise words.error(f"unknown command {words.peek()!r}")
    words.take()
    kind = words.peek()
    if kind not in _KINDS:
        raise words.error(f"unknown object {kind!r}")
    words.take()
    family, table = _table_name(words)
    if kind == "table":
        return Command(verb, family, table, None, _table_comment(words))
    return Command(verb, family, table, _parse_thing(kind, verb, words))


def _table_comment(words: Words) -> str:
    comment = ""
    if words.take_if("{"):
        while not words.take_if("}"):
            if words.done:
                raise words.error("expected '}'")
            if words.take_if("comment"):
                comment = words.take().strip('"')
            elif words.peek() not in (";", "\n"):
                raise words.error(f"unknown clause {words.peek()!r}")
            words.skip_breaks()
    return comment


def _parse_thing(kind: str, verb: Verb, words: Words) -> Thing:
    match kind:
        case "chain":
            return _parse_chain_command(words)
        case "set" | "map":
            name = words.take()
            return _parse_set(words, name) if words.peek() == "{" else SetDefinition(name, (), _no_data(kind))
        case "element":
            name = words.take()
            elements = parse_elements(words)
            word = "map" if any(element.data is not None for element in elements) else "set"
            return Elements(name, word, elements)
        case _:
            return ChainRule(words.take(), parse_rule(words))


def _no_data(kind: str) -> tuple[str, ...]:
    return ("verdict",) if kind == "map" else ()


def _parse_chain_command(words: Words) -> Chain:
    name = words.take()
    return _parse_chain(words, name) if words.peek() == "{" else Chain(name)


def _parse_table(words: Words) -> Table:
    words.expect("table")
    family, name = _table_name(words)
    words.expect("{")
    table = Table(family, name)
    chains: dict[str, Chain] = {}
    sets: dict[str, SetDefinition] = {}
    opaque: list[str] = []
    words.skip_breaks()
    while not words.take_if("}"):
        match words.take():
            case "chain":
                chain_name = words.take()
                chains[chain_name] = _parse_chain(words, chain_name)
            case "set" | "map":
                set_name = words.take()
                sets[set_name] = _parse_set(words, set_name)
            case "comment":
                table = replace(table, comment=words.take().strip('"'))
            case "flags":
                table = replace(table, flags=_comma_list(words))
            case "":
                raise words.error("expected '}'")
            case _:
                words.at -= 1
                opaque.append("\t" + _skip_block(words))
        words.skip_breaks()
    return replace(table, chains=chains, sets=sets, opaque=tuple(opaque))


def _skip_block(words: Words) -> str:
    start, depth = words.at, 0
    while not words.done:
        word = words.peek()
        depth += {"{": 1, "}": -1}.get(word, 0)
        if depth < 0 or (depth == 0 and word == "\n"):
            break
        words.take()
    return words.text_between(start, words.at)


def _comma_list(words: Words) -> tuple[str, ...]:
    listed = [words.take()]
    while words.take_if(","):
        listed.append(words.take())
    return tuple(listed)


def _parse_chain(words: Words, name: str) -> Chain:
    words.expect("{")
    base, comment = None, ""
    rules: list[Rule] = []
    words.skip_breaks()
    while not words.take_if("}"):
        match words.peek():
            case "type" if words.peek(2) == "hook":
                base = _parse_base(words)
            case "policy" if base is not None:
                words.take()
                base = replace(base, policy=words.take())
            case "comment" if words.peek(1)[:1] == '"':
                words.take()
                comment = words.take().strip('"')
            case "":
                raise words.error("expected '}'")
            case _:
                rules.append(parse_rule(words))
        words.skip_breaks()
    return Chain(name, base, comment, tuple(rules))


def _parse_base(words: Words) -> Base:
    words.expect("type")
    kind = words.take()
    words.expect("hook")
    hook = words.take()
    device = words.take().strip('"') if words.take_if("device") else ""
    words.expect("priority")
    return Base(kind, hook, _priority(words), "accept", device)


def _priority(words: Words) -> int:
    word = words.take()
    if word in PRIORITIES:
        sign = {"+": 1, "-": -1}.get(words.peek(), 0)
        if sign:
            words.take()
        return PRIORITIES[word] + (sign * words.integer() if sign else 0)
    try:
        return int(word)
    except ValueError:
        words.at -= 1
        raise words.error(f"{word!r} is not a priority") from None


def _parse_set(words: Words, name: str) -> SetDefinition:
    words.expect("{")
    definition = SetDefinition(name, ())
    words.skip_breaks()
    while not words.take_if("}"):
        definition = _set_clause(words, definition)
        words.skip_breaks()
    return definition


def _set_clause(words: Words, definition: SetDefinition) -> SetDefinition:
    match words.take():
        case "type":
            key = _types(words)
            data = _types(words) if words.take_if(":") else ()
            return replace(definition, key_types=key, data_types=data)
        case "typeof":
            return _typeof(words, definition)
        case "flags":
            return replace(definition, flags=_comma_list(words))
        case "timeout" | "gc-interval" as clause:
            seconds = parse_time(words.take())
            return replace(definition, timeout=seconds) if clause == "timeout" else definition
        case "size":
            return replace(definition, size=words.integer())
        case "comment":
            return replace(definition, comment=words.take().strip('"'))
        case "elements":
            words.expect("=")
            return replace(definition, elements=parse_elements(words))
        case "auto-merge":
            return replace(definition, auto_merge=True)
        case "policy" | "counter":
            words.take()
            return definition
        case word:
            words.at -= 1
            raise words.error(f"unknown clause {word!r} of a set")


def _types(words: Words) -> tuple[str, ...]:
    listed = [words.take()]
    while words.take_if("."):
        listed.append(words.take())
    return tuple(listed)


def _typeof(words: Words, definition: SetDefinition) -> SetDefinition:
    start = words.at
    key = parse_operand(words)
    data: tuple[str, ...] = ()
    if words.take_if(":"):
        data = ("verdict",) if words.take_if("verdict") else tuple(parse_operand(words).datatype.split(" . "))
    text = words.text_between(start, words.at)
    return replace(definition, key_types=tuple(key.datatype.split(" . ")), data_types=data, typeof=text)
