"""Corefiles: grammar, what each plugin's settings mean, and that nothing is ignored silently."""

from __future__ import annotations

import pytest

from netsim.cluster.model import Cluster, Service, ServicePort
from netsim.dns import selector
from netsim.dns.assemble import Setup, make_server
from netsim.dns.corefile import KUBEADM, CorefileError, Directive, parse
from netsim.dns.forward import Upstream
from netsim.dns.records import Query, Record
from netsim.dns.settings import zone_of
from netsim.errors import UsageError

WEB = Service("default", "web", cluster_ips=("10.96.0.7",), ports=(ServicePort("http", 80),))
CLUSTER = Cluster(services=(WEB,), namespaces={"default": {}})
UPSTREAM = Upstream({"example.com.": (Record("example.com.", 300, "A", "192.0.2.1"),)})
SETUP = Setup(CLUSTER, ("10.244.0.2",), UPSTREAM)


def answered(corefile: str, name: str, kind: str = "A", **asked: object) -> tuple[str, list[str]]:
    server, _ = make_server(corefile, SETUP)
    answer = server.answer(Query(name, kind, **asked))  # type: ignore[arg-type]
    return answer.rcode, [record.rdata for record in answer.answer]


def codes(corefile: str) -> list[str]:
    return [note.text for note in make_server(corefile, SETUP)[1]]


def test_blocks_quotes_comments_and_nesting() -> None:
    text = 'a.test:53, b.test {  # zones\n  log "with # inside" x\n  outer {\n    inner 1 2\n  }\n}\n'
    (block,) = parse(text)
    assert block.keys == ("a.test:53", "b.test")
    assert block.directives[0] == Directive("log", ("with # inside", "x"), 2)
    assert block.directives[1].sub("inner") == Directive("inner", ("1", "2"), 4)


def test_snippets_are_imported_where_they_are_named() -> None:
    (block,) = parse("(common) {\n errors\n log\n}\n. {\n import common\n ready\n}\n")
    assert [directive.name for directive in block.directives] == ["errors", "log", "ready"]


def test_unset_environment_variables_are_nothing() -> None:
    assert parse(". {\n forward . {$UPSTREAM}8.8.8.8\n}\n")[0].directives[0].arguments == (".", "8.8.8.8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "no server block", id="empty"),
        pytest.param(". {\n errors", "unexpected end of file", id="missing brace"),
        pytest.param("{\n errors\n}", "needs a zone", id="no zone"),
        pytest.param('. {\n log "x\n}', "unterminated quote", id="open quote"),
        pytest.param(". {\n import nothing\n}", "Corefile:2: import nothing: no such snippet", id="unknown snippet"),
        pytest.param(". {\n kubernetes {\n  ttl 3601\n }\n}", "Corefile:2: kubernetes: ttl must be in range", id="ttl"),
        pytest.param(". {\n kubernetes {\n  pods maybe\n }\n}", "wrong value for pods", id="pods"),
        pytest.param(". {\n kubernetes {\n  whatever\n }\n}", "unknown property 'whatever'", id="unknown option"),
        pytest.param(". {\n kubernetes {\n  labels a in b\n }\n}", "is not a label selector", id="selector"),
        pytest.param(
            ". {\n kubernetes {\n  namespaces a\n  namespace_labels b\n }\n}", "cannot both be set", id="two filters"
        ),
        pytest.param(". {\n forward .\n}", "Corefile:2: forward: a zone and at least one upstream", id="forward"),
        pytest.param(". {\n cache 30 {\n  servfail soon\n }\n}", "'soon' is not a duration", id="duration"),
        pytest.param(". {\n autopath\n}", "no resolv-conf specified", id="autopath"),
    ],
)
def test_what_coredns_refuses_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:\d+: ") as raised:
        make_server(text, SETUP)
    assert problem in str(raised.value)


def test_plugins_that_are_not_modelled_are_named_with_their_line() -> None:
    notes = codes(". {\n rewrite name a b\n frobnicate\n kubernetes\n import custom/*.override\n}\n")
    assert [note.split(":")[0] for note in notes] == ["Corefile line 2", "Corefile line 3", "Corefile line 5"]
    assert "rewrite" in notes[0]
    assert "frobnicate" in notes[1]


def test_imports_of_files_between_blocks_are_notes() -> None:
    assert any("custom/*.server" in note for note in codes("import custom/*.server\n. {\n kubernetes\n}\n"))


def test_kubeadm_corefile_is_modelled_completely() -> None:
    text = KUBEADM.format(domain="cluster.local")
    assert codes(text) == []
    assert answered(text, "web.default.svc.cluster.local.") == ("NOERROR", ["10.96.0.7"])


def test_the_longest_zone_of_several_servers_answers() -> None:
    text = ".:53 {\n kubernetes cluster.local\n forward . 192.0.2.53\n}\n"
    text += "stub.test:53 {\n hosts {\n  10.9.9.9 a.stub.test\n }\n}\n"
    assert answered(text, "a.stub.test.") == ("NOERROR", ["10.9.9.9"])
    assert answered(text, "example.com.") == ("NOERROR", ["192.0.2.1"])


def test_a_name_no_server_has_is_refused() -> None:
    assert answered("a.test {\n kubernetes cluster.local\n}\n", "b.test.") == ("REFUSED", [])


def test_other_ports_and_transports_are_not_asked() -> None:
    text = "tls://. {\n kubernetes other.local\n}\n.:53 {\n kubernetes cluster.local\n}\n"
    assert answered(text, "web.default.svc.cluster.local.") == ("NOERROR", ["10.96.0.7"])
    assert any("tls://." in note for note in codes(text))


def test_one_port_other_than_53_is_the_one_asked() -> None:
    assert answered(".:1053 {\n kubernetes cluster.local\n}\n", "web.default.svc.cluster.local.")[0] == "NOERROR"


def test_forward_exceptions_go_to_the_next_plugin() -> None:
    text = ". {\n forward . 192.0.2.53 {\n  except example.com\n }\n}\n"
    assert answered(text, "example.com.") == ("SERVFAIL", [])


def test_classes_other_than_in_need_forward() -> None:
    asked = ("web.default.svc.cluster.local.", "A")
    assert answered(". {\n kubernetes cluster.local\n}\n", *asked, qclass="CH") == ("REFUSED", [])
    assert answered(". {\n kubernetes cluster.local\n forward . 192.0.2.53\n}\n", *asked, qclass="CH")[0] == "NOERROR"


def test_zones_come_from_the_server_when_the_plugin_names_none() -> None:
    assert answered("cluster.local {\n kubernetes\n}\n", "web.default.svc.cluster.local.")[0] == "NOERROR"


HOSTS = (
    ". {\n hosts {\n  10.1.1.1 a.test B.test\n  fd00::1 a.test\n  ttl 60\n  fallthrough\n }\n forward . 192.0.2.53\n}\n"
)


@pytest.mark.parametrize(
    ("name", "kind", "want"),
    [
        ("a.test.", "A", ("NOERROR", ["10.1.1.1"])),
        ("A.test.", "AAAA", ("NOERROR", ["fd00::1"])),
        ("b.test.", "AAAA", ("NOERROR", [])),
        ("1.1.1.10.in-addr.arpa.", "PTR", ("NOERROR", ["a.test.", "b.test."])),
        ("example.com.", "A", ("NOERROR", ["192.0.2.1"])),
    ],
)
def test_hosts_plugin(name: str, kind: str, want: tuple[str, list[str]]) -> None:
    assert answered(HOSTS, name, kind) == want


def test_hosts_without_fallthrough_fails_for_names_it_lacks() -> None:
    assert answered(HOSTS.replace("  fallthrough\n", ""), "example.com.") == ("SERVFAIL", [])


def test_a_hosts_file_of_the_container_is_a_note() -> None:
    assert any("/etc/coredns/hosts" in note for note in codes(". {\n hosts /etc/coredns/hosts\n}\n"))


@pytest.mark.parametrize(
    ("key", "zone"),
    [
        ("Cluster.Local", "cluster.local."),
        (".:53", "."),
        ("dns://example.org:1053", "example.org."),
        ("10.96.0.0/16", "96.10.in-addr.arpa."),
        ("fd00:10::/32", "0.1.0.0.0.0.d.f.ip6.arpa."),
    ],
)
def test_zone_keys(key: str, zone: str) -> None:
    assert zone_of(key) == zone


@pytest.mark.parametrize(
    ("text", "labels", "want"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b,c)", {}, True),
        ("a in (b,c),!d", {"a": "b", "d": "1"}, False),
        ("a>3", {"a": "4"}, True),
        ("a<3", {"a": "x"}, False),
        ("", {}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], want: bool) -> None:
    assert selector.matches(selector.parse(text), labels) is want


@pytest.mark.parametrize("text", ["a in b", "a>b", "(a)", "a=b=c", "a in (b"])
def test_texts_that_are_no_label_selectors(text: str) -> None:
    with pytest.raises(UsageError):
        selector.parse(text)


CACHED = """. {
    cache 30 {
        disable success cluster.local
        denial 100 7 20
    }
    kubernetes cluster.local {
        ttl 5
    }
    forward . 192.0.2.53
}
"""


def test_cache_keeps_what_is_not_disabled_and_clamps_ttls() -> None:
    server, _ = make_server(CACHED, SETUP)
    first, second = (server.answer(Query("example.com."), now) for now in (0.0, 10.5))
    assert (first.answer[0].ttl, "aa" in first.flags) == (30, False)
    assert (second.answer[0].ttl, "aa" in second.flags) == (20, True)
    own = [server.answer(Query("web.default.svc.cluster.local."), now).answer[0].ttl for now in (0.0, 3.0)]
    assert own == [5, 5]
    missing = [server.answer(Query("no.default.svc.cluster.local."), now).authority[0].ttl for now in (0.0, 6.0, 21.0)]
    assert missing == [7, 1, 7]


def test_a_cache_forgets_its_oldest_entry_when_full() -> None:
    from netsim.dns.cache import Cache, CacheSettings
    from netsim.dns.chain import Call, End
    from netsim.dns.forward import Forward

    cache = Cache(CacheSettings(capacity=3), Forward(".", (), UPSTREAM, End()))
    for number in range(10):
        cache.answer(Query(f"n{number}.example.com."), Call(make_server(CACHED, SETUP)[0]))
    assert [key[0] for key in cache.entries] == [f"n{number}.example.com." for number in (7, 8, 9)]
