"""The lab: the same cluster as network namespaces, veth pairs and the real kernel's rules.

One process, the *holder*, is the first process of a PID namespace of its own and owns every network namespace of a lab
by file descriptor: when it ends, for whatever reason, the kernel ends every process of the lab and frees every
namespace, link, rule and route. Nothing of a lab is ever named in, or mounted on, the host.
"""
