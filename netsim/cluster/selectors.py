"""Label selectors: plain maps (Services) and LabelSelectors (workloads, affinity terms), node selector terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.cluster.read import mapping, objects, text, texts


def matches_map(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels hold every pair of a plain map selector."""
    return all(labels.get(key) == value for key, value in selector.items())


def matches_selector(selector: object, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects labels. None selects nothing, an empty one everything."""
    if not isinstance(selector, dict):
        return False
    pairs = {key: text(value) for key, value in mapping(selector.get("matchLabels")).items()}
    return matches_map(pairs, labels) and all(
        matches_expression(requirement, labels) for requirement in objects(selector.get("matchExpressions"))
    )


def matches_expression(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether labels meet one `{key, operator, values}`; an unknown operator is never met.

    A missing key meets NotIn and DoesNotExist (apimachinery labels.Requirement.Matches); Gt and Lt compare integers.
    """
    value = labels.get(text(requirement.get("key")))
    values = texts(requirement.get("values"))
    match requirement.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, values)
        case _:
            return False


def _compares(operator: str, value: str | None, values: tuple[str, ...]) -> bool:
    try:
        left, right = int(value or ""), int(values[0]) if len(values) == 1 else int("")
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def matches_node_term(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node meets one nodeSelectorTerm; a term without any requirement matches no node."""
    expressions = objects(term.get("matchExpressions"))
    fields = objects(term.get("matchFields"))
    if not expressions and not fields:
        return False
    return all(matches_expression(e, labels) for e in expressions) and all(
        matches_expression(f, {"metadata.name": name}) for f in fields
    )
