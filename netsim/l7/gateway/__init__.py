"""Gateway API v1: Gateways, routes of five kinds, their attachment, precedence, filters, references and status."""
