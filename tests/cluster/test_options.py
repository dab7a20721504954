"""Options last from one `up` to the next; the machine tells what nobody chose."""

from pathlib import Path

import pytest

from cluster import daemons, options, up
from cluster.errors import CommandError
from cluster.options import Options
from cluster.paths import Layout


def parse(*argv: str) -> Options:
    parser = options.data_dir_parser("up", "")
    options.add_flags(parser)
    return options.merged(Options(secure_port=7443), parser.parse_args(argv))


def test_flags_override_what_was_saved_and_only_that() -> None:
    assert parse() == Options(secure_port=7443)
    assert parse("--grpc-port", "1") == Options(secure_port=7443, grpc_port=1)
    assert parse("--secure-port", "6443") == Options()


def test_saved_options_come_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert options.load(layout) == Options()
    chosen = Options(secure_port=7443, node_ip="192.0.2.7", cgroup_root="/elsewhere")
    options.save(layout, chosen)
    assert options.load(layout) == chosen
    (tmp_path / "up.json").write_text('{"secure_port": 1, "from_the_future": true}')
    assert options.load(layout) == Options(secure_port=1)
    (tmp_path / "up.json").write_text("{")
    with pytest.raises(CommandError, match=r"cannot read .*up\.json"):
        options.load(layout)


@pytest.mark.parametrize("name", ["", "-a", "under_score", "Big", "a..b", "a" * 254])
def test_names_that_no_node_can_have(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "")
    with pytest.raises(CommandError, match="choose one with --hostname-override"):
        options.node_name(Options(hostname_override=name))


def test_node_name_is_the_hosts_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Rack-1.Example")
    assert options.node_name(Options()) == "rack-1.example"
    assert options.node_name(Options(hostname_override="other")) == "other"


def test_node_ip_is_never_loopback() -> None:
    assert not options.node_ip(Options()).startswith("127.")
    assert options.node_ip(Options(node_ip="192.0.2.7")) == "192.0.2.7"
    assert options.server(Options(node_ip="192.0.2.7")) == "https://192.0.2.7:6443"


@pytest.mark.parametrize(
    ("text", "address"), [("10.96.0.0/16", "10.96.0.1"), ("10.0.4.0/24", "10.0.4.1")]
)
def test_the_service_of_the_api_has_the_first_address(text: str, address: str) -> None:
    assert up.service_ip(text) == address


@pytest.mark.parametrize("text", ["10.96.0.1/16", "nonsense", "10.0.0.1/32"])
def test_a_range_that_is_none(text: str) -> None:
    with pytest.raises(CommandError, match="--service-cluster-ip-range"):
        up.service_ip(text)


def test_daemons_get_only_what_they_need_of_the_environment() -> None:
    callers = {
        "PATH": "/home/me/bin",
        "PYTHONPATH": "/tmp",
        "KUBECONFIG": "secret",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "10.0.0.0/8",
    }
    found = daemons.environment(callers)
    assert found["https_proxy"] == "http://proxy:3128"
    assert found["NO_PROXY"] == "10.0.0.0/8"
    assert found["PATH"].startswith("/usr/local/sbin")
    assert not {"PYTHONPATH", "KUBECONFIG"} & set(found)
