"""ingress-nginx v1.15: annotations, merging of Ingresses into servers and locations, and what nginx then does."""
