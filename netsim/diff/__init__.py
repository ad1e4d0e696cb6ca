"""Differences between proxy modes as an answer: every flow asked in both, grouped by cause."""
