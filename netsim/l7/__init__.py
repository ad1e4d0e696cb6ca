"""HTTP routing: from a URL to the backend, in four dialects (Ingress as written, ingress-nginx, APISIX, Gateway API).

`netsim.l7.router` is the library: build routers of a Cluster, decide requests. `netsim.l7.frontend` names the
controller's
own Service and Pods, so that a trace can reach it. `compile_ingress` writes the nginx configuration of a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.cluster.model import Cluster
    from netsim.l7.compile import IngressFiles
    from netsim.l7.conf.build import Target
    from netsim.l7.router import RouteOptions


def compile_ingress(
    cluster: Cluster, class_name: str = "", *, options: RouteOptions | None = None, target: Target | None = None
) -> Mapping[str, IngressFiles]:
    """Return, for each ingress class (or *class_name* alone), its nginx.conf and certificate files.

    Raises:  UsageError when *class_name* names no IngressClass of the input.
    """
    from netsim.l7.compile import compile_classes

    return compile_classes(cluster, class_name, options, target)
