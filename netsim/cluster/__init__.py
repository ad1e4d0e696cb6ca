"""The cluster as modelled: defaulting, allocation, the controllers' work."""
