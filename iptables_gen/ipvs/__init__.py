"""IPVS: virtual and real servers, ipsets and bound addresses, their text, and their evaluation."""
