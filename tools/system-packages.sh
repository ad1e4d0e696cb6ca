#!/usr/bin/env bash
# Installs the Debian packages that the kernel, lab and browser tests need; without root or apt it says what is missing.
set -eu
packages=(iptables nftables ipset ipvsadm nfacct iproute2 conntrack nginx-light dnsutils user-mode-linux kmod chromium mininet bridge-utils graphviz tcpdump)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "note: not root or no apt: tests that need these packages are skipped: ${missing[*]}" >&2
  exit 0
fi
# A policy file keeps dpkg from starting the services that it installs (nginx would listen on port 80 of this machine).
policy=/usr/sbin/policy-rc.d
made=0
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=1; }
trap '[ "$made" = 1 ] && rm -f "$policy"' EXIT
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
