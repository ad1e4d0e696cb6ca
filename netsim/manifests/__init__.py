"""Manifests in: YAML and JSON with the position of every field."""
