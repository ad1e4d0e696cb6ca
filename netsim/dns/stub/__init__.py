"""Stub resolvers: what glibc, musl and Go send for a name, and what they make of the answers."""
