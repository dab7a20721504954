"""`pinnace raftstore`'s flags: etcd's defaults and complaints, and what we refuse beside them."""

from pathlib import Path

import pytest

from raftstore.daemon.flags import DEFAULT_QUOTA_BYTES, AutoCompaction, Flags, check_founding, parse
from raftstore.daemon.flagtable import FlagError, HelpAsked, duration_s
from raftstore.urls import address_of, parse_initial_cluster

LOOPBACK = "http://127.0.0.1:2379"


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """A file where only its being there is looked at."""
    path = tmp_path / "x.pem"
    path.write_text("")
    return str(path)


def flags_of(text: str, **environment: str) -> Flags:
    return parse(text.split(), environment)


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(FlagError) as caught:
        check_founding(flags_of(text, **environment))
    return str(caught.value)


def test_defaults_are_those_of_etcd() -> None:
    flags = flags_of("")
    assert flags.name == "default"
    assert flags.data_dir == Path("default.etcd")
    assert flags.listen_client_urls == ("http://localhost:2379",)
    assert flags.initial_cluster == {"default": ("http://localhost:2380",)}
    assert (flags.heartbeat_ms, flags.election_ms) == (100, 1000)
    assert (flags.request_size_max_bytes, flags.txn_operations_max) == (1_572_864, 128)
    assert flags.quota_bytes == DEFAULT_QUOTA_BYTES == 2 << 30
    assert flags.auto_compaction == AutoCompaction()
    assert not flags.client_tls.require_client_cert
    assert flags == Flags()
    check_founding(flags)


@pytest.mark.parametrize("text", ["--name=m1", "--name m1", "-name m1", "-name=m1"])
def test_go_writes_flags_in_four_ways(text: str) -> None:
    flags = flags_of(text)
    assert flags.name == "m1"
    assert flags.data_dir == Path("m1.etcd")
    assert flags.initial_cluster == {"m1": ("http://localhost:2380",)}


def test_a_switch_takes_its_value_with_an_equals_sign_only(pem: str) -> None:
    assert flags_of(f"--client-cert-auth --trusted-ca-file {pem}").client_tls.require_client_cert
    assert not flags_of("--client-cert-auth=false").client_tls.require_client_cert
    assert refusal("--client-cert-auth=perhaps") == (
        "--client-cert-auth: invalid value 'perhaps': true or false"
    )
    assert refusal("--client-cert-auth false").startswith("'false': an argument where a flag")


def test_variables_speak_where_the_command_line_does_not() -> None:
    assert flags_of("", ETCD_NAME="m2", ETCD_HEARTBEAT_INTERVAL="50").name == "m2"
    assert flags_of("--name m1", ETCD_NAME="m2").name == "m1"
    assert flags_of("", ETCD_NAME="").name == "default"
    assert "--election-timeout: invalid value 'x'" in refusal("", ETCD_ELECTION_TIMEOUT="x")


def test_unknown_variables_are_told_and_those_of_etcdctl_are_not() -> None:
    flags = flags_of("", ETCD_COLOUR="red", ETCDCTL_API="3", ETCD_NAME="a", HOME="/")
    assert flags.unknown_variables == ("ETCD_COLOUR",)
    assert "discovery service" in refusal("", ETCD_DISCOVERY="https://d.example/1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("--nmae m1", "--nmae: there is no such flag; did you mean --name?"),
        ("--colour", "--colour: there is no such flag; see --help for those there are"),
        ("m1", "'m1': an argument where a flag was expected"),
        ("--name", "--name: needs a value"),
        ("--discovery https://d/1", "--discovery: there is no discovery service: name the "
         "members with --initial-cluster"),
        ("--auto-tls", "--auto-tls: certificates that nobody can check protect from nobody: "
         "give certificate, key and CA files"),
        ("--force-new-cluster", "--force-new-cluster: stop the member and use: pinnace store "
         "recover --data-dir DIR"),
        ("--wal-dir /x", "--wal-dir: the log lies in --data-dir: put all of that on the quick "
         "disk"),
        ("--unsafe-no-fsync", "--unsafe-no-fsync: an acknowledged write is on the disk: that "
         "cannot be switched off"),
        ("--pre-vote=false", "--pre-vote: invalid value 'false': only 'true' is there: PreVote "
         "is always on"),
        ("--initial-cluster-state old",
         "--initial-cluster-state: invalid value 'old': one of new, existing"),
        ("--snapshot-count 0", "--snapshot-count: invalid value '0': at least 1"),
        ("--max-txn-ops many", "--max-txn-ops: invalid value 'many': not a whole number"),
        ("--election-timeout 400", "--election-timeout[400ms] should be at least as 5 times as "
         "--heartbeat-interval[100ms]"),
        ("--election-timeout 60000", "--election-timeout[60000ms] is too long, and should be "
         "set less than 50000ms"),
        (f"--listen-client-urls {LOOPBACK}", "--advertise-client-urls is required when "
         "--listen-client-urls is set explicitly"),
        ("--auto-compaction-retention x", "error parsing --auto-compaction-retention 'x': not a "
         "duration such as 30s, 5m or 1h30m"),
        ("--auto-compaction-mode revision --auto-compaction-retention 1h",
         "error parsing --auto-compaction-retention '1h': not a whole number"),
    ],
)  # fmt: skip
def test_refusals_name_the_flag(text: str, why: str) -> None:
    assert refusal(text) == why


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:2379", "URL scheme must be http or https: 127.0.0.1:2379"),
        ("ftp://a:1", "URL scheme must be http or https: ftp://a:1"),
        ("unix://a:1", "URL scheme must be http or https: unix://a:1"),
        ("http://a", 'URL address does not have the form "host:port": http://a'),
        ("http://a:b", 'URL address does not have the form "host:port": http://a:b'),
        ("http://:1", 'URL address does not have the form "host:port": http://:1'),
        ("http://u@a:1", 'URL address does not have the form "host:port": http://u@a:1'),
        ("http://a:1/x", "URL must not contain a path: http://a:1/x"),
        ("http://a:1?x=y", "URL must not contain a path: http://a:1?x=y"),
        (",", "no valid URLs given"),
    ],
)
def test_urls_are_etcds(url: str, why: str) -> None:
    assert refusal(f"--listen-peer-urls {url}") == (
        f"--listen-peer-urls: invalid value {url!r}: {why}"
    )


def test_addresses() -> None:
    assert address_of("https://[::1]:2379").target == "[::1]:2379"
    loopback = ("http://localhost:1", "http://127.9.0.1:1", "http://[::1]:1")
    assert all(address_of(url).is_loopback for url in loopback)
    public = ("http://0.0.0.0:1", "http://[::]:1", "http://10.0.0.1:1", "http://a.example:1")
    assert not any(address_of(url).is_loopback for url in public)


def test_a_name_cannot_be_bound() -> None:
    urls = "https://m1.example:2379"
    assert refusal(f"--listen-client-urls {urls} --advertise-client-urls {urls}") == (
        f"--listen-client-urls: expected IP in URL for binding ({urls})"
    )


@pytest.mark.parametrize(
    ("flag", "more"),
    [
        ("listen-client-urls", f"--advertise-client-urls {LOOPBACK}"),
        ("advertise-client-urls", ""),
        ("listen-peer-urls", ""),
        ("initial-advertise-peer-urls", ""),
        ("listen-metrics-urls", ""),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "[::]"])
def test_plain_http_is_for_loopback_only(flag: str, more: str, host: str) -> None:
    url = f"http://{host}:2379"
    assert refusal(f"--{flag} {LOOPBACK},{url} {more}").startswith(
        f"--{flag}: {url} is plain http on an address that is not loopback"
    )


def test_members_are_not_called_over_plain_http() -> None:
    text = "--initial-cluster default=http://localhost:2380,m2=http://10.0.0.2:2380"
    assert refusal(text).startswith("--initial-cluster: http://10.0.0.2:2380 is plain http")


def test_https_has_certificates(pem: str) -> None:
    url = "https://0.0.0.0:2379"
    listen = f"--listen-client-urls {url} --advertise-client-urls https://a.example:2379"
    assert refusal(listen) == (
        f"cannot listen on TLS for {url}: --cert-file and --key-file are not presented"
    )
    pair = f"--cert-file {pem} --key-file {pem}"
    assert refusal(f"{listen} --cert-file {pem}") == (
        "--cert-file and --key-file go together: one is missing"
    )
    assert refusal(f"{listen} --cert-file {pem} --key-file /no") == (
        "--key-file: there is no file /no"
    )
    assert refusal(f"{listen} {pair}") == (
        "--trusted-ca-file is needed to check the certificates of clients of "
        f"{url}; --client-cert-auth=false lets in whoever connects"
    )
    assert flags_of(f"{listen} {pair} --trusted-ca-file {pem}").client_tls.require_client_cert
    assert not flags_of(f"{listen} {pair} --client-cert-auth=false").client_tls.require_client_cert


def test_members_always_show_certificates_over_https(pem: str) -> None:
    url = "https://10.0.0.1:2380"
    listen = f"--listen-peer-urls {url} --initial-advertise-peer-urls {url}"
    assert "--peer-cert-file and --peer-key-file are not presented" in refusal(listen)
    pair = f"{listen} --peer-cert-file {pem} --peer-key-file {pem}"
    assert refusal(pair).startswith("--peer-trusted-ca-file is needed")
    whole = f"{pair} --peer-trusted-ca-file {pem}"
    assert flags_of(whole).peer_tls.require_client_cert
    assert refusal(f"{whole} --peer-client-cert-auth=false").startswith(
        "--peer-client-cert-auth=false: whoever can speak as a member can rewrite the store"
    )


def test_the_initial_cluster_names_this_member() -> None:
    cluster = "--initial-cluster m1=http://localhost:1,m2=http://localhost:2"
    assert refusal(cluster) == (
        'couldn\'t find local name "default" in the initial cluster configuration'
    )
    advertise = "--initial-advertise-peer-urls http://localhost:3"
    assert refusal(f"--name m1 {cluster} {advertise}") == (
        "--initial-advertise-peer-urls has http://localhost:3 but missing from "
        "--initial-cluster=m1=http://localhost:1"
    )
    both = "--initial-cluster m1=http://localhost:1,m1=http://localhost:3"
    assert refusal(f"--name m1 {both} {advertise}") == (
        "--initial-cluster has m1=http://localhost:1 but missing from "
        "--initial-advertise-peer-urls=http://localhost:3"
    )
    assert "duplicate url" in refusal("--initial-cluster a=http://a:1,b=http://a:1")
    assert "empty URL given for" in refusal("--initial-cluster a=")
    assert "expected name=URL" in refusal("--initial-cluster http://a:1")


def test_a_member_may_have_several_peer_urls() -> None:
    found = parse_initial_cluster("a=http://b:2,b=http://c:1,a=http://a:1")
    assert found == {"a": ("http://a:1", "http://b:2"), "b": ("http://c:1",)}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("--auto-compaction-retention 5m", AutoCompaction(300.0)),
        ("--auto-compaction-retention 2", AutoCompaction(7200.0)),
        ("--auto-compaction-retention 0", AutoCompaction()),
        ("--auto-compaction-mode revision --auto-compaction-retention 1000",
         AutoCompaction(revisions=1000)),
    ],
)  # fmt: skip
def test_auto_compaction(text: str, kept: AutoCompaction) -> None:
    assert flags_of(text).auto_compaction == kept


def test_a_negative_quota_is_none() -> None:
    assert flags_of("--quota-backend-bytes=-1").quota_bytes == -1


def test_durations_are_gos() -> None:
    assert duration_s("1h30m") == 5400
    assert duration_s("1.5s") == 1.5
    assert duration_s("250ms") == 0.25
    for text in ("5", "", "m", "5 m", "-5m", "1x"):
        with pytest.raises(ValueError, match="not a duration"):
            duration_s(text)


def test_help_is_asked_for() -> None:
    with pytest.raises(HelpAsked):
        flags_of("--name m1 --help")
