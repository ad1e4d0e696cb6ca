"""APISIX with its ingress controller: Ingress and ApisixRoute translated to routes of its radix tree."""
