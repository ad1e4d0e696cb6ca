"""HTTP routing: from a URL to the backend, in four dialects (Ingress as written, ingress-nginx, APISIX, Gateway API).

`netsim.l7.router` is the library: build routers of a Cluster, decide requests. `netsim.l7.frontend` names the controller's
own Service and Pods, so that a trace can reach it. `compile_ingress` writes the nginx configuration of a class.
"""
