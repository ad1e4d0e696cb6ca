"""Lanes as a Graphviz graph."""
