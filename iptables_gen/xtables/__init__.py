"""iptables: typed rules, both spellings of their text, and their evaluation."""
