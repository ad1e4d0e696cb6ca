"""netsim: Kubernetes networking without the cluster."""

__version__ = "0.1.0"
