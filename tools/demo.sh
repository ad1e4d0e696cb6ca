#!/usr/bin/env bash
# `make demo`: what netsim does, on the example clusters. Prints each command before its output.
set -euo pipefail
cd "$(dirname "$0")/.."

show() {
  printf '\n\033[1m$ %s\033[0m\n' "$*"
  "$@" || true
}

printf 'Where does a packet from a pod to a Service go?\n'
show netsim trace -f topologies/shop -q pod/shop/frontend-0 svc/shop/api:80
printf '\nAnd one from outside to a NodePort, there and back?\n'
show netsim trace -f topologies/shop -q external 192.168.10.3:30080 --return
printf '\nWhich rules would kube-proxy program on node-1? (the first lines)\n'
netsim compile -f topologies/shop -q --node node-1 -o save > /tmp/netsim-demo.$$ && show head -n 12 /tmp/netsim-demo.$$
rm -f /tmp/netsim-demo.$$
printf '\nWhat does a name resolve to, seen from a pod?\n'
show netsim dns -f topologies/shop -q api --from pod/shop/frontend-0
printf '\nWhich backend gets this request?\n'
show netsim route -f topologies/shop -q http://shop.example.com/api/orders
printf '\nWhy does this Service not answer?\n'
show netsim why -f topologies/broken -q svc/default/typo
printf '\nWhat would change with nftables mode?\n'
show netsim diff -f topologies/shop -q --proxy-mode iptables..nftables
