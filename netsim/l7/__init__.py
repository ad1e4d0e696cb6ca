"""Ingress and Gateway: class selection, routing tables, nginx configuration."""
