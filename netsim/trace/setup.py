"""From a cluster and kube-proxy's settings to a Tracer, in one call."""

from __future__ import annotations

from collections.abc import Iterable

from iptables_gen.kubeproxy.inputs import ProxyConfig
from netsim.cluster.model import Cluster
from netsim.hosts.cni import cni_settings
from netsim.hosts.dumps import Dumps
from netsim.hosts.network import Network
from netsim.hosts.programs import RuleSource
from netsim.notes import Note
from netsim.trace.query import Resolver
from netsim.trace.tracer import Tracer


def make_network(cluster: Cluster, config: ProxyConfig, dumps: Dumps | None = None) -> Network:
    """Return all hosts of a cluster with what kube-proxy and the CNI load on them."""
    cni = cni_settings(cluster, config.cluster_cidrs)
    return Network(cluster, cni, RuleSource(cluster, config, cni, dumps or {}))


def make_tracer(
    cluster: Cluster,
    config: ProxyConfig,
    *,
    dumps: Dumps | None = None,
    namespace: str = "default",
    notes: Iterable[Note] = (),
    resolver: Resolver | None = None,
) -> Tracer:
    """Return a tracer over a cluster; `dumps` are real nodes' rulesets by node and family."""
    network = make_network(cluster, config, dumps)
    noted = (*notes, *network.cni.notes)
    return Tracer(network, config.mode, namespace=namespace, notes=noted, resolver=resolver)
