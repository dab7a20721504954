"""One member as a real process: what it says and answers when its disk, quota, port, directory or
flags are not as they should be."""

import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_processes import PINNACE, Certificates, Process, etcdctl, free_ports, pinnace

MB = 1024 * 1024


class Single:
    """A member on loopback, without TLS."""

    def __init__(self, directory: Path, data_dir: Path | None = None) -> None:
        self.data_dir = data_dir or directory / "data"
        self.log = directory / "log"
        client, peer, metrics = free_ports(3)
        self.url, self.peer_url = (f"http://127.0.0.1:{port}" for port in (client, peer))
        self.metrics_url = f"http://127.0.0.1:{metrics}"
        self.process: Process | None = None

    def start(self, *flags: str, **environment: str) -> Process:
        argv = [
            PINNACE, "raftstore", f"--data-dir={self.data_dir}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--listen-metrics-urls={self.metrics_url}", *flags,
        ]  # fmt: skip
        self.process = Process(argv, self.log, **environment)
        return self.process

    def ready(self, *flags: str, **environment: str) -> Process:
        process = self.start(*flags, **environment)
        process.wait_said("ready: member")
        return process

    def put(self, key: str, value: str, *, check: bool = True) -> str:
        words = ["put", key, "--command-timeout=1s"]
        done = etcdctl(self.url, *words, text=value, check=check)
        return done.stderr if done.returncode else ""

    def get(self, key: str) -> str:
        return etcdctl(self.url, "get", key, "--print-value-only").stdout.strip()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()


@pytest.fixture
def single(tmp_path: Path) -> Iterator[Single]:
    single = Single(tmp_path)
    yield single
    single.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", str(path)], check=True
    )
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.needs("etcdctl")
def test_the_quota_raises_an_alarm_and_room_takes_it_back(single: Single) -> None:
    single.ready("--quota-backend-bytes", str(2 * MB))
    value = "x" * 100_000
    refusals = [single.put(f"big/{number}", value, check=False) for number in range(30)]
    assert refusals[0] == ""
    assert "etcdserver: mvcc: database space exceeded" in refusals[-1]
    assert "alarm:NOSPACE" in etcdctl(single.url, "alarm", "list").stdout
    page = urllib.request.Request(f"{single.metrics_url}/health")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(page, timeout=5)
    assert "ALARM NOSPACE" in caught.value.read().decode()
    # Reads and deletions go on, and what they free counts once it is compacted.
    assert single.get("big/0") == value
    etcdctl(single.url, "del", "big/", "--prefix")
    revision = etcdctl(single.url, "get", "x", "-w", "fields").stdout.split('"Revision" : ')[1]
    etcdctl(single.url, "compaction", revision.split()[0])
    for _ in range(100):
        if not single.put("again", "there is room", check=False):
            break
    assert single.get("again") == "there is room"
    assert etcdctl(single.url, "alarm", "list").stdout == ""
    assert urllib.request.urlopen(page, timeout=5).status == 200


@pytest.mark.needs("root", "etcdctl")
def test_a_full_disk_ends_the_member_and_nothing_is_lost(tmp_path: Path, small_disk: Path) -> None:
    single = Single(tmp_path, small_disk / "data")
    try:
        process = single.ready()
        kept = 0
        while not single.put(f"key/{kept}", f"{kept:06}" * 100_000, check=False):
            kept += 1
            assert kept < 1000
        assert process.wait() == 1
        told = process.said().splitlines()[-1]
        assert told.startswith("pinnace raftstore: ")
        assert "No space left on device" in told
        # Never from doubt: a start on the full disk is refused too, or serves all there is.
        subprocess.run(["mount", "-o", "remount,size=256m", str(small_disk)], check=True)
        single.ready()
        found = etcdctl(single.url, "get", "key/", "--prefix", "--keys-only").stdout.split()
        assert set(found) >= {f"key/{number}" for number in range(kept)}
        assert single.get(f"key/{kept - 1}") == f"{kept - 1:06}" * 100_000
    finally:
        single.close()


def test_a_port_that_is_taken(single: Single) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(single.url.rpartition(":")[2])))
        other.listen()
        process = single.start()
        assert process.wait() == 1
    assert process.said().splitlines()[-1].startswith("pinnace raftstore: cannot listen on 127.0")


def test_a_directory_that_is_open_or_not_ours(single: Single, tmp_path: Path) -> None:
    process = single.ready()
    other = Single(tmp_path, single.data_dir)
    second = other.start()
    assert second.wait() == 1
    assert "the store is open in another process" in second.said()
    assert process.stop() == 0
    foreign = Single(tmp_path, tmp_path / "foreign")
    foreign.data_dir.mkdir()
    (foreign.data_dir / "member").mkdir()
    third = foreign.start()
    assert third.wait() == 1
    assert "it holds 'member' and no FORMAT" in third.said()


@pytest.mark.needs("etcdctl")
def test_a_damaged_log_is_said_in_one_line(single: Single) -> None:
    process = single.ready()
    for number in range(3):
        single.put("key", f"value {number}")
    process.stop()
    [segment] = sorted((single.data_dir / "wal").iterdir())
    data = bytearray(segment.read_bytes())
    data[data.index(b"value 1")] ^= 1
    segment.write_bytes(data)
    again = single.start()
    assert again.wait() == 1
    assert again.said().count("\n") == 1
    assert f"{segment}: offset " in again.said()


def test_systemd_is_told(single: Single, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        heard.settimeout(20)
        process = single.ready(NOTIFY_SOCKET=str(path))
        assert heard.recv(100) == b"READY=1"
        process.signal(signal.SIGTERM)
        assert heard.recv(100) == b"STOPPING=1"
        assert process.wait() == 0


def test_variables_make_a_member_too(single: Single) -> None:
    process = single.ready(ETCD_NAME="default", ETCD_LOG_LEVEL="debug", ETCD_COLOUR="red")
    assert "unrecognized environment variable ETCD_COLOUR" in process.said()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--listen-peer-urls", "http://0.0.0.0:2380"],
         "pinnace raftstore: --listen-peer-urls: http://0.0.0.0:2380 is plain http on an address"),
        (["--nmae", "m1"], "pinnace raftstore: --nmae: there is no such flag; did you mean"),
        (["--initial-cluster", "m2=http://localhost:2380"],
         "pinnace raftstore: couldn't find local name \"default\" in the initial cluster"),
    ],
)  # fmt: skip
def test_flags_that_make_no_sense_are_one_line(words: list[str], why: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [PINNACE, "raftstore", "--data-dir", tmp_path / "data", *words],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(why)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_help_names_every_flag() -> None:
    told = pinnace("raftstore", "--help").stdout
    assert told.startswith("usage: pinnace raftstore [FLAGS]")
    for flag in ("--name", "--initial-cluster-token", "--peer-trusted-ca-file", "--snapshot-count"):
        assert f"  {flag}\n" in told


@pytest.mark.needs("etcdctl")
def test_limits_of_requests(single: Single) -> None:
    single.ready("--max-request-bytes=1000", "--max-txn-ops=2")
    assert single.put("small", "x" * 900) == ""
    assert "etcdserver: request is too large" in single.put("large", "x" * 1001, check=False)
    puts = "".join(f"put k{number} v\n" for number in range(3))
    done = etcdctl(single.url, "txn", text=f"\n{puts}\n\n", check=False)
    assert "too many operations in txn request" in done.stderr


def test_pages_over_https_ask_for_a_certificate(single: Single, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server, client = certificates.pair("server", "127.0.0.1"), certificates.pair("client")
    single.metrics_url = single.metrics_url.replace("http:", "https:")
    single.ready(
        f"--cert-file={server[0]}", f"--key-file={server[1]}",
        f"--trusted-ca-file={certificates.ca}",
    )  # fmt: skip
    context = ssl.create_default_context(cafile=str(certificates.ca))
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(f"{single.metrics_url}/health", timeout=5, context=context)
    context.load_cert_chain(*client)
    for page, word in (("health", "true"), ("metrics", "etcd_server_has_leader 1.0")):
        url = f"{single.metrics_url}/{page}"
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            assert word in answer.read().decode()
