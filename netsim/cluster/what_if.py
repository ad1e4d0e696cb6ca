"""What-ifs in EndpointSlices that the input itself holds: the controller would have rewritten them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netsim.cluster.model import EndpointSlice, Pod, Service, SliceEndpoint
from netsim.cluster.options import BuildOptions
from netsim.cluster.slices import CONTROLLER, MANAGED_BY
from netsim.errors import UsageError

Key = tuple[str, str]


def named_pods(options: BuildOptions) -> frozenset[str]:
    """Return every pod that a what-if names, as `ns/name`."""
    return frozenset((*options.not_ready, *options.ready, *options.terminating, *options.phases))


def check_names(options: BuildOptions, known: Iterable[str]) -> None:
    """Raise UsageError for a what-if about a pod that does not exist."""
    wanted = named_pods(options)
    absent = sorted(wanted - set(known)) if wanted else []
    if absent:
        raise UsageError(f"pod/{absent[0]}: no such pod (netsim get pods -A lists them)")


def rewritten(
    slices: Sequence[EndpointSlice], pods: Mapping[Key, Pod], services: Mapping[Key, Service], options: BuildOptions
) -> list[EndpointSlice]:
    """Return the given slices with the endpoints of what-if pods as the controller would write them."""
    named = named_pods(options)
    if not named:
        return list(slices)
    return [_rewritten(item, pods, services.get((item.namespace, item.service)), named) for item in slices]


def _rewritten(
    item: EndpointSlice, pods: Mapping[Key, Pod], service: Service | None, named: frozenset[str]
) -> EndpointSlice:
    if item.labels.get(MANAGED_BY) != CONTROLLER:
        return item
    publish = service is not None and service.publish_not_ready
    endpoints = [_endpoint(endpoint, pods, publish, named) for endpoint in item.endpoints]
    return replace(item, endpoints=tuple(endpoints))


def _endpoint(endpoint: SliceEndpoint, pods: Mapping[Key, Pod], publish: bool, named: frozenset[str]) -> SliceEndpoint:
    """Return an endpoint, without addresses when its pod has ended (indices of the others stay right)."""
    key = (endpoint.target_namespace, endpoint.target_name)
    pod = pods.get(key)
    if endpoint.target_kind != "Pod" or pod is None or "/".join(key) not in named:
        return endpoint
    if pod.phase in ("Succeeded", "Failed"):
        return endpoint._replace(addresses=())
    ready = publish or (pod.ready and not pod.terminating)
    return endpoint._replace(ready=ready, serving=pod.ready, terminating=pod.terminating)
