"""What a request asks for and how answers read, as tables by the CNI specification."""

import json

import pytest

from cni.server.protocol import (
    Attachment,
    CniError,
    ErrorCode,
    Interface,
    Wiring,
    add_answer,
    encode_answer,
    error_answer,
    loopback_answer,
    parse,
    version_answer,
)

CONFIG = {"cniVersion": "1.0.0", "name": "pinnace", "type": "pinnace"}
ENVIRON = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/run/netns/x",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "K8S_POD_NAME=a;B=c=d",
    "CNI_PATH": "/opt/cni/bin",
}
WIRING = Wiring(
    bridge=Interface("pinnace0", "0a:58:0a:f4:00:01", 1450),
    host=Interface("pinabc", "aa:bb:cc:dd:ee:ff", 1450),
    container=Interface("eth0", "0a:58:0a:f4:00:02", 1450, "/run/netns/x"),
    address="10.244.0.2/32",
    gateway="10.244.0.1",
)


def request(environ: dict[str, str | None] | None = None, **config: object) -> bytes:
    entries = {k: v for k, v in (ENVIRON | (environ or {})).items() if v is not None}
    head = b"".join(f"{k}={v}\0".encode() for k, v in entries.items())
    body = {k: v for k, v in (CONFIG | config).items() if v != "absent"}
    return head + b"\0" + json.dumps(body).encode()


def refusal(data: bytes) -> CniError:
    with pytest.raises(CniError) as caught:
        parse(data)
    return caught.value


def test_an_add_is_understood() -> None:
    found = parse(request())
    assert found.command == "ADD"
    assert found.version == "1.0.0"
    assert found.plugin == "pinnace"
    assert found.attachment == Attachment("c1", "eth0")
    assert found.netns == "/run/netns/x"
    assert found.previous is None


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CNI_COMMAND": "FROB"}, "CNI_COMMAND"),
        ({"CNI_COMMAND": None}, "CNI_COMMAND"),
        ({"CNI_CONTAINERID": None}, "CNI_CONTAINERID"),
        ({"CNI_CONTAINERID": "../x"}, "CNI_CONTAINERID"),
        ({"CNI_CONTAINERID": "-x"}, "CNI_CONTAINERID"),
        ({"CNI_IFNAME": "sixteen-letters-"}, "CNI_IFNAME"),
        ({"CNI_IFNAME": "a/b"}, "CNI_IFNAME"),
        ({"CNI_IFNAME": ".."}, "CNI_IFNAME"),
        ({"CNI_NETNS": None}, "CNI_NETNS"),
        ({"CNI_NETNS": "relative"}, "CNI_NETNS"),
        ({"CNI_NETNS": None, "CNI_IFNAME": ""}, "CNI_NETNS"),
        ({"CNI_COMMAND": "DEL", "CNI_CONTAINERID": ""}, "CNI_CONTAINERID"),
    ],
)
def test_a_wrong_environment_is_code_4_and_named(
    environ: dict[str, str | None], named: str
) -> None:
    error = refusal(request(environ))
    assert error.code == ErrorCode.INVALID_ENVIRONMENT == 4
    assert named in str(error)


def test_no_cni_variable_at_all_is_code_4() -> None:
    assert refusal(b"\0{}").code == 4


def test_a_del_needs_no_namespace() -> None:
    found = parse(request({"CNI_COMMAND": "DEL", "CNI_NETNS": None}))
    assert (found.command, found.netns) == ("DEL", "")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"cniVersion": "0.2.0"}, 1),
        ({"cniVersion": "2.0.0"}, 1),
        ({"cniVersion": "absent"}, 1),
        ({"cniVersion": 1}, 1),
        ({"ipMasq": True}, 2),
        ({"runtimeConfig": {"portMappings": [{"hostPort": 80}]}}, 2),
        ({"name": "absent"}, 7),
        ({"name": ""}, 7),
        ({"type": "bridge"}, 7),
        ({"prevResult": []}, 7),
    ],
)
def test_a_wrong_configuration_has_its_code(config: dict[str, object], code: int) -> None:
    assert refusal(request(**config)).code == code


def test_an_unsupported_field_is_told_with_key_and_value() -> None:
    assert 'ipMasq = {"a": 1}' in str(refusal(request(ipMasq={"a": 1})))


@pytest.mark.parametrize("config", [{"runtimeConfig": {}}, {"dns": {}}, {"ipam": {}}])
def test_what_go_writes_for_nothing_is_no_unsupported_field(config: dict[str, object]) -> None:
    parse(request(**config))


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b"\xff"])
def test_what_is_no_json_object_is_code_6(body: bytes) -> None:
    assert refusal(request().partition(b"\0\0")[0] + b"\0\0" + body).code == 6


@pytest.mark.parametrize(
    ("command", "version", "allowed"),
    [
        ("ADD", "0.3.1", True),
        ("CHECK", "0.3.1", False),
        ("CHECK", "0.4.0", True),
        ("STATUS", "1.0.0", False),
        ("STATUS", "1.1.0", True),
        ("GC", "1.0.0", False),
    ],
)
def test_a_command_needs_the_version_that_brought_it(
    command: str, version: str, allowed: bool
) -> None:
    data = request({"CNI_COMMAND": command}, cniVersion=version)
    if allowed:
        assert parse(data).command == command
    else:
        assert refusal(data).code == ErrorCode.INCOMPATIBLE_VERSION


def test_version_is_answered_without_a_configuration() -> None:
    found = parse(b"CNI_COMMAND=VERSION\0\0")
    answer = version_answer(found)
    assert "1.1.0" in answer["supportedVersions"]
    assert "0.3.1" in answer["supportedVersions"]


@pytest.mark.parametrize("key", ["cni.dev/valid-attachments", "cni.dev/attachments"])
def test_gc_lists_what_stays(key: str) -> None:
    listed = [{"containerID": "a", "ifname": "eth0"}]
    data = request({"CNI_COMMAND": "GC"}, cniVersion="1.1.0", **{key: listed})
    assert parse(data).valid == {Attachment("a", "eth0")}


@pytest.mark.parametrize("listed", ["absent", "x", [1], [{"containerID": "a"}]])
def test_a_gc_without_a_proper_list_deletes_nothing_and_is_code_7(listed: object) -> None:
    key = "cni.dev/valid-attachments"
    data = request({"CNI_COMMAND": "GC"}, cniVersion="1.1.0", **{key: listed})
    assert refusal(data).code == 7


def test_the_answer_of_add_in_the_version_asked_for() -> None:
    assert add_answer("1.0.0", WIRING) == {
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "pinnace0", "mac": "0a:58:0a:f4:00:01"},
            {"name": "pinabc", "mac": "aa:bb:cc:dd:ee:ff"},
            {"name": "eth0", "mac": "0a:58:0a:f4:00:02", "sandbox": "/run/netns/x"},
        ],
        "ips": [{"address": "10.244.0.2/32", "gateway": "10.244.0.1", "interface": 2}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.0.1"}],
        "dns": {},
    }
    assert add_answer("0.4.0", WIRING)["ips"][0]["version"] == "4"
    assert add_answer("1.1.0", WIRING)["interfaces"][2]["mtu"] == 1450


def test_other_answers() -> None:
    loopback = loopback_answer("0.3.1", "/run/netns/x")
    assert loopback["ips"] == [{"address": "127.0.0.1/8", "interface": 0, "version": "4"}]
    assert loopback["interfaces"][0]["sandbox"] == "/run/netns/x"
    error = CniError(ErrorCode.TRY_AGAIN_LATER, "soon", "why")
    assert error_answer(error, "1.0.0") == {
        "cniVersion": "1.0.0",
        "code": 11,
        "msg": "soon",
        "details": "why",
    }
    assert encode_answer(0, None) == b"0 0\n"
    assert encode_answer(1, {"a": 1}) == b'1 9\n{"a": 1}\n'
