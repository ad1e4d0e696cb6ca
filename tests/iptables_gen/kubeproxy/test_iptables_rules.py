"""iptables mode: laws that hold for every input, and rules that no recording shows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.errors import CompileError
from iptables_gen.kubeproxy.inputs import ProxyInput, ServicePort
from iptables_gen.kubeproxy.iptables import Sheet, restore_text, sheet
from iptables_gen.kubeproxy.iptables_program import compile_input
from iptables_gen.kubeproxy.iptables_saved import save_text, saved_ruleset
from iptables_gen.kubeproxy.program import program
from iptables_gen.kubeproxy.versions import Version
from iptables_gen.xtables.ir import Row, Style, chains_of
from iptables_gen.xtables.templates import typed
from iptables_gen.xtables.text import parse, render
from tests.iptables_gen.kubeproxy.made_inputs import NODE, endpoint, inputs, proxy_input, service

LOCAL = endpoint(2, local=True)


def rows(written: Sheet) -> list[Row]:
    return [*written.filter_rows(), *written.nat_rows()]


def rules_of(made: ProxyInput, chain: str) -> list[str]:
    """Return the restore lines of a chain, without its name."""
    start = f"-A {chain} "
    return [line.removeprefix(start) for line in restore_text(sheet(made)).splitlines() if line.startswith(start)]


@given(inputs())
def test_a_row_and_its_typed_rule_are_written_alike_in_both_styles(made: ProxyInput) -> None:
    for row in rows(sheet(made)):
        rule = typed(row, made.family)
        assert rule.render(Style.RESTORE) == row.render(Style.RESTORE)
        assert rule.text == row.text


@given(inputs())
def test_texts_survive_parsing(made: ProxyInput) -> None:
    written = sheet(made)
    text = restore_text(written)
    assert render(parse(text, family=made.family), Style.RESTORE) == text
    saved = save_text(saved_ruleset(written))
    assert render(parse(saved, family=made.family)) == saved


@given(inputs())
def test_every_chain_is_made_and_every_jump_leads_to_one(made: ProxyInput) -> None:
    for table in saved_ruleset(sheet(made)).tables:
        named = [line.name for line in table.chain_lines]
        assert len(named) == len(set(named))
        chains = chains_of(table)
        assert list(chains) == named
        targets = {
            found
            for chain in chains.values()
            for rule in chain.rules
            for found in re.findall(r"-j (KUBE-\S+)", rule.text)
        }
        assert targets <= {*named, "KUBE-MARK-MASQ"}
        reached = {name for name in named if name.startswith(("KUBE-SVC-", "KUBE-SVL-", "KUBE-FW-"))}
        assert {name for name in reached if name.startswith("KUBE-FW-")} <= targets


@given(inputs())
def test_the_same_input_gives_the_same_bytes(made: ProxyInput) -> None:
    assert dict(compile_input(made).render()) == dict(compile_input(replace(made)).render())


@given(inputs())
def test_every_rule_made_for_an_object_has_its_origin(made: ProxyInput) -> None:
    by_service = {one.name for one in made.services}
    for row in rows(sheet(made)):
        origin = row.origin
        if origin is None:
            assert "comment" not in row.text or "kubernetes" in row.text or "localnet" in row.text
        else:
            assert (origin.kind, origin.name in by_service) == ("Service", True)
            assert origin.field.startswith(("spec.", "status."))


@given(st.text(min_size=1, max_size=30), st.text(max_size=15))
def test_a_hostile_name_stays_inside_its_comment_or_is_refused(name: str, port: str) -> None:
    try:
        written = sheet(proxy_input(service(LOCAL, name=name, port_name=port, node_port=30080, external_local=True)))
    except CompileError:
        assert re.search(r"[\x00-\x1f\x7f]", name + port)
        return
    plain = sheet(proxy_input(service(LOCAL, node_port=30080, external_local=True)))
    text, usual = restore_text(written), restore_text(plain)
    assert len(text.split("\n")) == len(usual.split("\n"))
    parsed = parse(text, family=4)
    for row, same in zip(rows(written), rows(plain), strict=True):
        rule, other = typed(row, 4), typed(same, 4)
        assert [type(one) for one in rule.matches] == [type(one) for one in other.matches]
        assert type(rule.target) is type(other.target)
    assert render(parsed, Style.SAVE).count("\n-A ") == sum(1 for _ in rows(written))


@pytest.mark.parametrize("name", ["a\nb", "x\n-A KUBE-SERVICES -j DROP", "nul\0", "cr\r"])
def test_a_name_with_a_control_character_is_refused(name: str) -> None:
    with pytest.raises(CompileError, match="control character"):
        sheet(proxy_input(service(LOCAL, name=name)))


def test_a_quoted_name_is_escaped_in_both_spellings() -> None:
    made = proxy_input(service(LOCAL, name='we" -j DROP "b', node_port=30080))
    [line, *_] = [rule for rule in rules_of(made, "KUBE-NODEPORTS") if "127.0.0.0/8" not in rule]
    assert line.startswith(r'-m comment --comment "default/we\" -j DROP \"b:http" -m tcp')
    saved = save_text(saved_ruleset(sheet(made)))
    assert r'--comment "default/we\" -j DROP \"b:http" -m tcp --dport 30080' in saved


def test_a_source_range_of_everything_is_written_but_not_saved() -> None:
    made = proxy_input(service(LOCAL, lb_vips=("203.0.113.9",), source_ranges=("0.0.0.0/0",)))
    firewall = [line for line in restore_text(sheet(made)).splitlines() if line.startswith("-A KUBE-FW-")]
    assert " -s 0.0.0.0/0 -j KUBE-EXT-" in firewall[0]
    saved = save_text(saved_ruleset(sheet(made)))
    assert '" -s 0.0.0.0/0' not in saved
    assert re.search(r'-A KUBE-FW-\w+ -m comment --comment "default/web:http loadbalancer IP" -j KUBE-EXT-', saved)


@pytest.mark.parametrize(
    ("config", "want"),
    [
        pytest.param({}, [], id="no detector"),
        pytest.param({"cluster_cidrs": ("10.244.0.0/16",)}, ["! -s 10.244.0.0/16"], id="a network"),
        pytest.param(
            {"detect_local_mode": "InterfaceNamePrefix", "interface_name_prefix": "veth"}, ["! -i veth+"], id="a prefix"
        ),
        pytest.param(
            {"detect_local_mode": "BridgeInterface", "bridge_interface": "br{0}"}, ["! -i br{0}"], id="odd but possible"
        ),
    ],
)
def test_the_detector_decides_who_is_masqueraded(config: dict[str, Any], want: list[str]) -> None:
    text = restore_text(sheet(proxy_input(service(LOCAL), **config)))
    found = re.findall(r"--dport 80 (! .*) -j KUBE-MARK-MASQ", text)
    assert found == want


@pytest.mark.parametrize(
    ("config", "want"),
    [
        pytest.param(
            {},
            "-m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP",
            id="counted",
        ),
        pytest.param({"nfacct": False}, "-m conntrack --ctstate INVALID -j DROP", id="no nfacct"),
        pytest.param(
            {"conntrack_tcp_be_liberal": True},
            '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x00004000/0x00004000 -j ACCEPT',
            id="liberal",
        ),
        pytest.param(
            {"conntrack_tcp_be_liberal": True, "masquerade_bit": 31},
            '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x80000000/0x80000000 -j ACCEPT',
            id="highest bit",
        ),
    ],
)
def test_forwarding_starts_with(config: dict[str, Any], want: str) -> None:
    assert rules_of(proxy_input(**config), "KUBE-FORWARD")[0] == want


@pytest.mark.parametrize("name", ['br" x', "a b", "x/y", "n\nl", "sixteen-letters!", "back\\slash"])
def test_a_word_that_is_no_interface_name_is_refused(name: str) -> None:
    with pytest.raises(CompileError, match="is not an interface name"):
        sheet(proxy_input(detect_local_mode="BridgeInterface", bridge_interface=name))


def test_without_nfacct_localhost_node_ports_have_no_rule_of_their_own() -> None:
    made = service(LOCAL, node_port=30080)
    assert len(rules_of(proxy_input(made), "KUBE-NODEPORTS")) == 2
    assert len(rules_of(proxy_input(made, nfacct=False), "KUBE-NODEPORTS")) == 1


def test_v1_30_counted_nothing() -> None:
    made = proxy_input(service(LOCAL, node_port=30080))
    assert "nfacct" not in restore_text(sheet(made, Version(1, 30)))


@pytest.mark.parametrize(
    ("listed", "want"),
    [
        pytest.param(("127.0.0.0/8", "192.168.10.0/24"), ["127.0.0.1", "192.168.10.1"], id="loopback listed"),
        pytest.param(("192.168.10.0/24",), ["192.168.10.1"], id="loopback not listed"),
        pytest.param(("198.51.100.0/24",), [], id="nothing matches"),
    ],
)
def test_node_port_addresses_have_a_rule_each(listed: tuple[str, ...], want: list[str]) -> None:
    last = [rule for rule in rules_of(proxy_input(node_port_addresses=listed), "KUBE-SERVICES") if "last rule" in rule]
    assert re.findall(r"-d (\S+)", " ".join(last)) == want


def test_origins_lead_to_the_fields() -> None:
    made = service(
        LOCAL,
        node_port=30080,
        external_ips=("198.51.100.1",),
        lb_vips=("203.0.113.9",),
        source_ranges=("10.0.0.0/8",),
        affinity_seconds=10,
        external_local=True,
        health_check_node_port=32000,
        index=3,
        external_ip_positions=(1,),
    )
    found = {(row.origin.field, row.origin.stage) for row in rows(sheet(proxy_input(made))) if row.origin}
    assert found == {
        ("spec.ports[3]", "cluster IP"),
        ("spec.externalIPs[1]", "external IP"),
        ("status.loadBalancer.ingress[0].ip", "load balancer IP"),
        ("spec.ports[3].nodePort", "node port"),
        ("spec.healthCheckNodePort", "health check node port"),
        ("spec.externalTrafficPolicy", "external traffic policy Local"),
        ("spec.ports[3]", "external traffic"),
        ("spec.loadBalancerSourceRanges[0]", "source range"),
        ("spec.loadBalancerSourceRanges", "source ranges"),
        ("spec.sessionAffinity", "session affinity"),
        ("spec.ports[3]", "endpoint"),
    }


def test_an_endpoint_with_a_manifest_is_its_own_origin() -> None:
    class Slice:
        kind, namespace, name = "EndpointSlice", "default", "web-1"

        def locate(self, field: str) -> tuple[str, int, int]:
            return "slices.yaml", 7, 1

    located = LOCAL._replace(locator=Slice(), field="endpoints[0]")
    row = next(row for row in rows(sheet(proxy_input(service(located)))) if "DNAT --to" in row.text)
    assert row.origin is not None
    assert row.origin.as_json() == {
        "kind": "EndpointSlice",
        "namespace": "default",
        "name": "web-1",
        "field": "endpoints[0]",
        "file": "slices.yaml",
        "line": 7,
    }


def test_large_clusters_keep_comments_only_where_packets_are_dispatched() -> None:
    many = tuple(endpoint(i % 250 + 1, local=True)._replace(port=1000 + i) for i in range(1001))
    large = service(*many, affinity_seconds=5)
    lines = restore_text(sheet(proxy_input(large))).splitlines()
    assert not [line for line in lines if line.startswith(("-A KUBE-SVC-", "-A KUBE-SEP-")) and "--comment" in line]
    assert [line for line in lines if line.startswith("-A KUBE-SERVICES") and "default/web:http cluster IP" in line]


def test_the_program_renders_lists_and_names_its_family() -> None:
    made = program(proxy_input(service(LOCAL)))
    assert (made.family, list(made.render()), len(made.render())) == (4, ["iptables.restore", "iptables.save"], 2)
    assert list(made.rules()) == ["mangle", "filter", "nat"]
    assert [rule.text for rule in made.rules()["nat"]["KUBE-MARK-MASQ"]] == [
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"
    ]


@pytest.mark.parametrize(
    ("mode", "file"), [("iptables", "iptables.restore"), ("nftables", "ip.nft"), ("ipvs", "ipvsadm.save")]
)
def test_every_mode_has_a_program(mode: Any, file: str) -> None:
    made = program(proxy_input(service(LOCAL), mode=mode))
    assert "10.96.0.10" in made.render()[file]


def test_the_program_hooks_in_where_it_has_rules_and_explains_its_chains() -> None:
    made = compile_input(proxy_input(service(LOCAL)))
    assert {(entry.hook.value, entry.table) for entry in made.hooks()} == {
        ("PREROUTING", "nat"),
        ("OUTPUT", "nat"),
        ("POSTROUTING", "nat"),
        ("INPUT", "filter"),
        ("FORWARD", "filter"),
        ("OUTPUT", "filter"),
    }
    explained = made.explain("KUBE-SVC-CDGGSHYLG3RE2FKL")
    assert [rule.chain for rule in explained] == ["KUBE-SVC-CDGGSHYLG3RE2FKL", "KUBE-SERVICES"]
    assert {str(rule.origin) for rule in explained} == {"Service default/web spec.ports[0]"}
    assert made.explain("KUBE-NO-SUCH-CHAIN") == ()


def test_a_node_without_services_still_has_the_static_rules() -> None:
    services: tuple[ServicePort, ...] = ()
    text = restore_text(sheet(ProxyInput(4, NODE, proxy_input().config, services)))
    assert text.count("\n-A ") == 4 + 5


def test_the_local_chain_keeps_endpoint_order_when_hints_leave_the_other_list_another() -> None:
    # Hints leave only 10.244.1.3 to the cluster list; the endpoint chains start with it, the local chain does not.
    hinted = [
        endpoint(last, local=True, zone_hints=frozenset([zone]))
        for last, zone in ((2, "zone-b"), (3, "zone-a"), (4, "zone-b"))
    ]
    made = proxy_input(service(*hinted, node_port=30080, external_local=True, type="NodePort"))
    text = restore_text(sheet(made))
    chain = re.search(r"KUBE-SVL-\w+", text)
    assert chain is not None
    assert [re.findall(r'-> (\S+)"', line)[0] for line in rules_of(made, chain[0])] == [
        "10.244.1.2:8080",
        "10.244.1.3:8080",
        "10.244.1.4:8080",
    ]
    assert re.findall(r"DNAT --to-destination (\S+)", text) == ["10.244.1.3:8080", "10.244.1.2:8080", "10.244.1.4:8080"]
