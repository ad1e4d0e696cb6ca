"""nftables: typed rules, sets and maps, their text, and their evaluation."""
