"""The forwarding model: hooks, routing, conntrack, outcomes."""
