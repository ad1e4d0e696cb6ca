"""The same cluster on the real kernel."""
