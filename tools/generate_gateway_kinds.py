"""Write netsim/manifests/gateway.json: the fields of Gateway API v1.4's kinds, in the notation of generate_kinds.py.

Source: the published CustomResourceDefinitions (gateway.networking.k8s.io, experimental channel), read by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "netsim" / "manifests" / "gateway.json"
PREFIX = "gateway.v1."
KINDS = (
    "BackendTLSPolicy",
    "GRPCRoute",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "UDPRoute",
)
# One struct a line: NAME FIELD=TYPE …; @X is a struct of this file, @meta… one of kinds.json.
STRUCTS = """
GatewayClassSpec controllerName=s description=s parametersRef=@ParametersReference
ParametersReference group=s kind=s name=s namespace=s
GatewaySpec gatewayClassName=s listeners=[@Listener addresses=[@GatewayAddress infrastructure=@GatewayInfrastructure
GatewaySpec allowedListeners=@AllowedListeners tls=@GatewayTLSConfig defaultScope=s backendTLS=o
GatewayAddress type=s value=s
GatewayInfrastructure labels={s annotations={s parametersRef=@ParametersReference
AllowedListeners namespaces=@RouteNamespaces
GatewayTLSConfig backend=o frontend=o
Listener name=s hostname=s port=i protocol=s tls=@ListenerTLSConfig allowedRoutes=@AllowedRoutes
ListenerTLSConfig mode=s certificateRefs=[@ParametersReference frontendValidation=o options={s
AllowedRoutes namespaces=@RouteNamespaces kinds=[@RouteGroupKind
RouteNamespaces from=s selector=@meta.v1.LabelSelector
RouteGroupKind group=s kind=s
ListenerSetSpec parentRef=@ParametersReference listeners=[@Listener
ParentReference group=s kind=s namespace=s name=s sectionName=s port=i
HTTPRouteSpec parentRefs=[@ParentReference useDefaultGateways=s hostnames=[s rules=[@HTTPRouteRule
GRPCRouteSpec parentRefs=[@ParentReference useDefaultGateways=s hostnames=[s rules=[@GRPCRouteRule
TLSRouteSpec parentRefs=[@ParentReference useDefaultGateways=s hostnames=[s rules=[@PlainRouteRule
TCPRouteSpec parentRefs=[@ParentReference useDefaultGateways=s rules=[@PlainRouteRule
UDPRouteSpec parentRefs=[@ParentReference useDefaultGateways=s rules=[@PlainRouteRule
PlainRouteRule name=s backendRefs=[@BackendRef
BackendRef group=s kind=s name=s namespace=s port=i weight=i
HTTPRouteRule name=s matches=[@HTTPRouteMatch filters=[@HTTPRouteFilter backendRefs=[@HTTPBackendRef
HTTPRouteRule timeouts=@HTTPRouteTimeouts retry=@HTTPRouteRetry sessionPersistence=@SessionPersistence
HTTPRouteTimeouts request=s backendRequest=s
HTTPRouteRetry codes=[i attempts=l backoff=s
SessionPersistence sessionName=s absoluteTimeout=s idleTimeout=s type=s cookieConfig=@CookieConfig
CookieConfig lifetimeType=s
HTTPRouteMatch path=@HTTPPathMatch headers=[@NameValueMatch queryParams=[@NameValueMatch method=s
HTTPPathMatch type=s value=s
NameValueMatch type=s name=s value=s
HTTPBackendRef group=s kind=s name=s namespace=s port=i weight=i filters=[@HTTPRouteFilter
HTTPRouteFilter type=s requestHeaderModifier=@HeaderFilter responseHeaderModifier=@HeaderFilter
HTTPRouteFilter requestMirror=@MirrorFilter requestRedirect=@RedirectFilter urlRewrite=@RewriteFilter
HTTPRouteFilter cors=@CORSFilter externalAuth=o extensionRef=@LocalReference
LocalReference group=s kind=s name=s
HeaderFilter set=[@HTTPHeader add=[@HTTPHeader remove=[s
HTTPHeader name=s value=s
MirrorFilter backendRef=@BackendObjectReference percent=i fraction=@Fraction
Fraction numerator=i denominator=i
BackendObjectReference group=s kind=s name=s namespace=s port=i
RedirectFilter scheme=s hostname=s path=@PathModifier port=i statusCode=l
RewriteFilter hostname=s path=@PathModifier
PathModifier type=s replaceFullPath=s replacePrefixMatch=s
CORSFilter allowOrigins=[s allowCredentials=b allowMethods=[s allowHeaders=[s exposeHeaders=[s maxAge=i
GRPCRouteRule name=s matches=[@GRPCRouteMatch filters=[@GRPCRouteFilter backendRefs=[@GRPCBackendRef
GRPCRouteRule sessionPersistence=@SessionPersistence
GRPCRouteMatch method=@GRPCMethodMatch headers=[@NameValueMatch
GRPCMethodMatch type=s service=s method=s
GRPCRouteFilter type=s requestHeaderModifier=@HeaderFilter responseHeaderModifier=@HeaderFilter
GRPCRouteFilter requestMirror=@MirrorFilter extensionRef=@LocalReference
GRPCBackendRef group=s kind=s name=s namespace=s port=i weight=i filters=[@GRPCRouteFilter
ReferenceGrantSpec from=[@ReferenceGrantFrom to=[@ReferenceGrantTo
ReferenceGrantFrom group=s kind=s namespace=s
ReferenceGrantTo group=s kind=s name=s
BackendTLSPolicySpec targetRefs=[@PolicyTarget validation=@BackendTLSValidation options={s
PolicyTarget group=s kind=s name=s sectionName=s
BackendTLSValidation caCertificateRefs=[@LocalReference wellKnownCACertificates=s hostname=s
BackendTLSValidation subjectAltNames=[@SubjectAltName
SubjectAltName type=s hostname=s uri=s
"""


def structs() -> dict[str, dict[str, str]]:
    """Return struct -> field -> type."""
    found: dict[str, dict[str, str]] = {}
    for line in STRUCTS.strip().splitlines():
        name, *fields = line.split()
        named = found.setdefault(PREFIX + name, {})
        for field in fields:
            key, _, code = field.partition("=")
            named[key] = code if "@meta." in code else code.replace("@", "@" + PREFIX)
    for kind in KINDS:
        spec = {"spec": f"@{PREFIX}{kind}Spec", "status": "o"}
        found[PREFIX + kind] = {"apiVersion": "s", "kind": "s", "metadata": "@meta.v1.ObjectMeta", **spec}
    return found


def main() -> int:
    """Write the table."""
    text = json.dumps({"structs": structs()}, indent=0, sort_keys=True, separators=(",", ":"))
    TARGET.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
