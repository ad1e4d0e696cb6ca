"""Every node, pod, router and client described once, for the model and for the lab."""
