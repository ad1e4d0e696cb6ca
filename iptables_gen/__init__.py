"""Rule languages and kube-proxy's compilers, standard library only: usable without netsim."""
