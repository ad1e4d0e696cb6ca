"""kube-proxy as pure functions: ProxyInput in, a rule program of one of three languages out."""
