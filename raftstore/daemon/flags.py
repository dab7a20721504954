"""`pinnace raftstore`'s flags: etcd's names, defaults and complaints (etcd `server/embed`).

Stricter than etcd in one thing: nothing that other machines can reach is plain http, and who can
reach it shows a certificate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from raftstore.daemon.flagtable import (
    Flag,
    FlagError,
    FlagTable,
    Given,
    duration_s,
    one_of,
    only,
    switch,
    whole,
)
from raftstore.urls import (
    InitialCluster,
    address_of,
    not_loopback,
    parse_initial_cluster,
    parse_url_list,
    parse_urls,
    plain_in_public,
    write_initial_cluster,
)

DEFAULT_NAME: Final = "default"
DEFAULT_CLIENT_URL: Final = "http://localhost:2379"
DEFAULT_PEER_URL: Final = "http://localhost:2380"
ELECTION_TIMEOUT_MAX_MS: Final = 50_000
DEFAULT_QUOTA_BYTES: Final = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class TlsFiles:
    """PEM files, "" where none is given. Where `require_client_cert`, a client without a
    certificate of `trusted_ca_file` gets no answer."""

    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    require_client_cert: bool = False


@dataclass(frozen=True)
class AutoCompaction:
    """By `period_s` or, where that is 0, by `revisions` kept; both 0: never."""

    period_s: float = 0.0
    revisions: int = 0


@dataclass(frozen=True)
class Flags:
    """How one member runs. The `initial_` ones matter while `data_dir` is not made."""

    name: str = DEFAULT_NAME
    data_dir: Path = Path("default.etcd")
    listen_client_urls: tuple[str, ...] = (DEFAULT_CLIENT_URL,)
    advertise_client_urls: tuple[str, ...] = (DEFAULT_CLIENT_URL,)
    listen_peer_urls: tuple[str, ...] = (DEFAULT_PEER_URL,)
    listen_metrics_urls: tuple[str, ...] = ()
    initial_advertise_peer_urls: tuple[str, ...] = (DEFAULT_PEER_URL,)
    initial_cluster: InitialCluster = field(
        default_factory=lambda: {DEFAULT_NAME: (DEFAULT_PEER_URL,)}
    )
    initial_cluster_is_new: bool = True
    initial_cluster_token: str = "etcd-cluster"  # noqa: S105 - no secret: it tells clusters apart
    client_tls: TlsFiles = TlsFiles()
    peer_tls: TlsFiles = TlsFiles()
    quota_bytes: int = DEFAULT_QUOTA_BYTES
    auto_compaction: AutoCompaction = AutoCompaction()
    snapshot_count: int = 10_000
    heartbeat_ms: int = 100
    election_ms: int = 1000
    request_size_max_bytes: int = 1_572_864
    txn_operations_max: int = 128
    corrupt_check_s: float = 600.0
    progress_notify_s: float = 600.0
    log_level: str = "info"
    unknown_variables: tuple[str, ...] = ()

    @property
    def founding_members(self) -> int:
        return len(self.initial_cluster)


TABLE: Final = FlagTable(
    flags=(
        Flag("name", DEFAULT_NAME, "Human-readable name for this member."),
        Flag("data-dir", "", "Where log and snapshots lie; ${name}.etcd where not given."),
        Flag("listen-client-urls", DEFAULT_CLIENT_URL, "Where to listen for clients.", parse_urls),
        Flag(
            "advertise-client-urls",
            DEFAULT_CLIENT_URL,
            "Where clients find this member.",
            parse_urls,
        ),
        Flag("listen-peer-urls", DEFAULT_PEER_URL, "Where to listen for members.", parse_urls),
        Flag("listen-metrics-urls", "", "Where else /metrics and /health are.", parse_url_list),
        Flag(
            "initial-advertise-peer-urls",
            DEFAULT_PEER_URL,
            "Where the other members find this one.",
            parse_urls,
        ),
        Flag(
            "initial-cluster",
            "",
            "Every member at the start, as name=URL,name=URL; this one where not given.",
            parse_initial_cluster,
        ),
        Flag(
            "initial-cluster-state",
            "new",
            "'new', or 'existing' to join members that are at work.",
            one_of("new", "existing"),
        ),
        Flag("initial-cluster-token", "etcd-cluster", "Tells clusters apart while they are made."),
        Flag("cert-file", "", "Certificate that clients are shown."),
        Flag("key-file", "", "Its key."),
        Flag("trusted-ca-file", "", "CA of clients; with it they must show a certificate."),
        Flag(
            "client-cert-auth",
            "false",
            "Clients must show a certificate; 'false' to let others in too.",
            switch,
            is_switch=True,
        ),
        Flag("peer-cert-file", "", "Certificate of this member, shown to and by members."),
        Flag("peer-key-file", "", "Its key."),
        Flag("peer-trusted-ca-file", "", "CA of members."),
        Flag(
            "peer-client-cert-auth",
            "false",
            "Members must show a certificate: with https they always must.",
            switch,
            is_switch=True,
        ),
        Flag(
            "quota-backend-bytes",
            "0",
            "Size at which the NOSPACE alarm is raised; 0: 2 GiB; negative: never.",
            whole(-(1 << 62)),
        ),
        Flag(
            "auto-compaction-mode",
            "periodic",
            "Whether the retention is a time or a number of revisions.",
            one_of("periodic", "revision"),
        ),
        Flag(
            "auto-compaction-retention",
            "0",
            "How much history is kept: a duration (a bare number is hours), or revisions; 0: all.",
        ),
        Flag("snapshot-count", "10000", "Log entries after which a snapshot may be due.", whole(1)),
        Flag("heartbeat-interval", "100", "Milliseconds between a leader's heartbeats.", whole(1)),
        Flag("election-timeout", "1000", "Milliseconds of silence to an election.", whole(1)),
        Flag("max-request-bytes", "1572864", "Largest request of a client.", whole(1)),
        Flag("max-txn-ops", "128", "Most operations in a transaction.", whole(1)),
        Flag(
            "corrupt-check-time",
            "10m",
            "How often members compare what they hold; 0: never.",
            duration_s,
        ),
        Flag(
            "watch-progress-notify-interval",
            "10m",
            "How often idle watches that asked for it hear of the revision.",
            duration_s,
        ),
        Flag("logger", "zap", "Lines on standard error.", only("zap", "lines go to stderr")),
        Flag(
            "log-outputs",
            "default",
            "Standard error.",
            one_of("default", "stderr"),
        ),
        Flag(
            "log-level",
            "info",
            "debug, info, warn or error.",
            one_of("debug", "info", "warn", "error", "panic", "fatal"),
        ),
        # What etcd has had since 3.4 or 3.5, and what a unit file may still spell out.
        Flag("pre-vote", "true", "Always on.", only("true", "PreVote is always on")),
        Flag(
            "strict-reconfig-check",
            "true",
            "Always on.",
            only("true", "a change that would cost the quorum is always refused"),
        ),
        Flag("enable-v2", "false", "Never on.", only("false", "there is no v2 API")),
    ),
    refused={
        **dict.fromkeys(
            ("discovery", "discovery-proxy", "discovery-srv", "discovery-srv-name",
             "discovery-fallback", "discovery-endpoints", "discovery-token"),
            "there is no discovery service: name the members with --initial-cluster",
        ),
        **dict.fromkeys(
            ("auto-tls", "peer-auto-tls"),
            "certificates that nobody can check protect from nobody: give certificate, key and CA "
            "files",
        ),
        **dict.fromkeys(
            ("auth-token", "auth-token-ttl", "bcrypt-cost"),
            "there are no users and passwords: clients are known by their certificates",
        ),
        **dict.fromkeys(
            ("client-crl-file", "peer-crl-file"),
            "revocation lists are not read: give short-lived certificates",
        ),
        **dict.fromkeys(
            ("max-snapshots", "max-wals"),
            "the newest snapshot and the log behind it are kept, older files are removed",
        ),
        **dict.fromkeys(
            ("backend-batch-interval", "backend-batch-limit", "backend-bbolt-freelist-type"),
            "there is no bbolt: every write is synced before it is answered",
        ),
        **dict.fromkeys(
            ("client-cert-allowed-hostname", "peer-cert-allowed-cn",
             "peer-cert-allowed-hostname"),
            "not supported: give members and clients a CA of their own",
        ),
        **dict.fromkeys(
            ("cors", "host-whitelist", "enable-grpc-gateway"),
            "there is no JSON gateway: talk gRPC",
        ),
        **dict.fromkeys(
            ("proxy", "proxy-failure-wait", "proxy-refresh-interval"), "there is no v2 proxy"
        ),
        "config-file": "there are no configuration files: use flags or ETCD_* variables",
        "wal-dir": "the log lies in --data-dir: put all of that on the quick disk",
        "force-new-cluster": "stop the member and use: pinnace store recover --data-dir DIR",
        "force-new-cluster-bump-amount": "use: pinnace store snapshot restore --bump-revision N",
        "cipher-suites": "not supported: TLS 1.2 and 1.3 with the library's choice of ciphers",
        "tls-min-version": "not supported: TLS 1.2 and 1.3 are spoken",
        "tls-max-version": "not supported: TLS 1.2 and 1.3 are spoken",
        "enable-pprof": "there is no Go profiler here: use py-spy on the process",
        "metrics": "every metric is always exported",
        "debug": "use --log-level=debug",
        "log-package-levels": "use --log-level",
        "unsafe-no-fsync": "an acknowledged write is on the disk: that cannot be switched off",
        "experimental-corrupt-check-time": "use --corrupt-check-time",
        "experimental-watch-progress-notify-interval": "use --watch-progress-notify-interval",
    },
)  # fmt: skip


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> Flags:
    """Raises FlagError, HelpAsked."""
    given = TABLE.read(argv, environment)
    value, explicit = given.values, given.explicit
    advertised = value["initial-advertise-peer-urls"]
    name = value["name"]
    if "listen-client-urls" in explicit and "advertise-client-urls" not in explicit:
        raise FlagError(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly"
        )
    flags = Flags(
        name=name,
        data_dir=Path(value["data-dir"] or f"{name}.etcd"),
        listen_client_urls=value["listen-client-urls"],
        advertise_client_urls=value["advertise-client-urls"],
        listen_peer_urls=value["listen-peer-urls"],
        listen_metrics_urls=value["listen-metrics-urls"],
        initial_advertise_peer_urls=advertised,
        initial_cluster=value["initial-cluster"] or {name: advertised},
        initial_cluster_is_new=value["initial-cluster-state"] == "new",
        initial_cluster_token=value["initial-cluster-token"],
        client_tls=_client_tls(given),
        peer_tls=_peer_tls(given),
        quota_bytes=value["quota-backend-bytes"] or DEFAULT_QUOTA_BYTES,
        auto_compaction=_auto_compaction(given),
        snapshot_count=value["snapshot-count"],
        heartbeat_ms=value["heartbeat-interval"],
        election_ms=value["election-timeout"],
        request_size_max_bytes=value["max-request-bytes"],
        txn_operations_max=value["max-txn-ops"],
        corrupt_check_s=value["corrupt-check-time"],
        progress_notify_s=value["watch-progress-notify-interval"],
        log_level=value["log-level"],
        unknown_variables=given.unknown_variables,
    )
    check(flags)
    return flags


def check(flags: Flags) -> None:
    """What goes together. Raises FlagError."""
    _check_times(flags)
    _check_addresses(flags)
    _check_tls("", flags.client_tls, (*flags.listen_client_urls, *flags.listen_metrics_urls))
    _check_tls("peer-", flags.peer_tls, flags.listen_peer_urls)
    _check_peers_know_each_other(flags)


def check_founding(flags: Flags) -> None:
    """The initial-* flags, where they are going to be used. Raises FlagError."""
    cluster, advertised = flags.initial_cluster, set(flags.initial_advertise_peer_urls)
    if flags.name not in cluster:
        raise FlagError(
            f'couldn\'t find local name "{flags.name}" in the initial cluster configuration'
        )
    named = set(cluster[flags.name])
    said = write_initial_cluster({flags.name: cluster[flags.name]})
    if missing := sorted(advertised - named):
        raise FlagError(
            f"--initial-advertise-peer-urls has {','.join(missing)} but missing from "
            f"--initial-cluster={said}"
        )
    if missing := sorted(named - advertised):
        raise FlagError(
            f"--initial-cluster has {flags.name}={','.join(missing)} but missing from "
            f"--initial-advertise-peer-urls={','.join(sorted(advertised))}"
        )
    _refuse_plain("initial-cluster", [url for urls in cluster.values() for url in urls])


def _check_times(flags: Flags) -> None:
    heartbeat, election = flags.heartbeat_ms, flags.election_ms
    if 5 * heartbeat > election:
        raise FlagError(
            f"--election-timeout[{election}ms] should be at least as 5 times as "
            f"--heartbeat-interval[{heartbeat}ms]"
        )
    if election > ELECTION_TIMEOUT_MAX_MS:
        raise FlagError(
            f"--election-timeout[{election}ms] is too long, and should be set less than "
            f"{ELECTION_TIMEOUT_MAX_MS}ms"
        )


def _check_addresses(flags: Flags) -> None:
    listening = {
        "listen-client-urls": flags.listen_client_urls,
        "listen-peer-urls": flags.listen_peer_urls,
        "listen-metrics-urls": flags.listen_metrics_urls,
    }
    for name, urls in listening.items():
        for url in urls:
            if not address_of(url).can_be_bound:
                raise FlagError(f"--{name}: expected IP in URL for binding ({url})")
    advertised = {
        "advertise-client-urls": flags.advertise_client_urls,
        "initial-advertise-peer-urls": flags.initial_advertise_peer_urls,
    }
    for name, urls in {**listening, **advertised}.items():
        _refuse_plain(name, urls)


def _refuse_plain(name: str, urls: Sequence[str]) -> None:
    if plain := plain_in_public(urls):
        raise FlagError(
            f"--{name}: {plain[0]} is plain http on an address that is not loopback: everybody on "
            "the network could read and write the store; use https, with certificate and key"
        )


def _check_tls(prefix: str, tls: TlsFiles, urls: Sequence[str]) -> None:
    """A listener with https has what it takes, and asks strangers who they are."""
    if bool(tls.cert_file) != bool(tls.key_file):
        raise FlagError(f"--{prefix}cert-file and --{prefix}key-file go together: one is missing")
    secure = [url for url in urls if address_of(url).is_tls]
    if secure and not tls.cert_file:
        raise FlagError(
            f"cannot listen on TLS for {secure[0]}: --{prefix}cert-file and --{prefix}key-file "
            "are not presented"
        )
    for kind in ("cert_file", "key_file", "trusted_ca_file"):
        path = getattr(tls, kind)
        if path and not Path(path).is_file():
            raise FlagError(f"--{prefix}{kind.replace('_', '-')}: there is no file {path}")
    if tls.require_client_cert and not tls.trusted_ca_file:
        why = f" of {not_loopback(secure)[0]}" if not_loopback(secure) else ""
        raise FlagError(
            f"--{prefix}trusted-ca-file is needed to check the certificates of clients{why}"
            + ("" if prefix else "; --client-cert-auth=false lets in whoever connects")
        )


def _check_peers_know_each_other(flags: Flags) -> None:
    """Members that talk TLS show and check certificates on both sides, everywhere."""
    urls = (*flags.listen_peer_urls, *flags.initial_advertise_peer_urls)
    if any(address_of(url).is_tls for url in urls) and not flags.peer_tls.trusted_ca_file:
        raise FlagError("--peer-trusted-ca-file is needed: members check each other's certificates")


def _client_tls(given: Given) -> TlsFiles:
    """As in etcd, a CA means that certificates are asked for; so does an address that others can
    reach, unless the operator says no."""
    value = given.values
    asked = value["client-cert-auth"]
    if "client-cert-auth" not in given.explicit:
        public = not_loopback([*value["listen-client-urls"], *value["listen-metrics-urls"]])
        asked = bool(value["trusted-ca-file"] or public)
    return TlsFiles(value["cert-file"], value["key-file"], value["trusted-ca-file"], asked)


def _peer_tls(given: Given) -> TlsFiles:
    value = given.values
    secure = any(
        address_of(url).is_tls
        for url in (*value["listen-peer-urls"], *value["initial-advertise-peer-urls"])
    )
    if secure and "peer-client-cert-auth" in given.explicit and not value["peer-client-cert-auth"]:
        raise FlagError(
            "--peer-client-cert-auth=false: whoever can speak as a member can rewrite the store; "
            "members always show certificates"
        )
    return TlsFiles(
        value["peer-cert-file"],
        value["peer-key-file"],
        value["peer-trusted-ca-file"],
        secure or value["peer-client-cert-auth"],
    )


def _auto_compaction(given: Given) -> AutoCompaction:
    mode, text = (given.values[f"auto-compaction-{word}"] for word in ("mode", "retention"))
    parse_retention: Any = whole(0) if mode == "revision" else _period_s
    try:
        kept = parse_retention(text)
    except ValueError as error:
        raise FlagError(f"error parsing --auto-compaction-retention {text!r}: {error}") from error
    return AutoCompaction(revisions=kept) if mode == "revision" else AutoCompaction(kept)


def _period_s(text: str) -> float:
    """A bare number is hours."""
    return float(text) * 3600.0 if text.isdecimal() else duration_s(text)
