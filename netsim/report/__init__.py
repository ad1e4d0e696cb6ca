"""Answers as text, JSON, DOT, SVG, HTML."""
