"""Packets and the words of the command line that name them; scapy only here."""
