"""Lanes as a picture without dependencies."""
