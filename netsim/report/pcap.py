"""The packet as seen at every hop, as a capture file."""
