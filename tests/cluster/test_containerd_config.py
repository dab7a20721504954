"""containerd's configuration: golden files per version, and our own instance of the machine's."""

import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import containerd, control, images
from cluster.errors import CommandError
from cluster.paths import Layout

GOLDEN = Path(__file__).parent / "golden"
FACTS = containerd.Facts(
    root="/var/lib/pinnace/containerd",
    state="/run/pinnace/containerd",
    socket="/run/pinnace/containerd/containerd.sock",
    runc_root="/run/pinnace/runc",
    cni_bin_dir="/var/lib/pinnace/cni/bin",
    cni_conf_dir="/var/lib/pinnace/cni/conf.d",
    registry_dir="/var/lib/pinnace/certs.d",
    sandbox_image=images.PAUSE,
    snapshotter="overlayfs",
    restrict_oom_score_adj=False,
)


@pytest.mark.parametrize("version", [(1, 6), (1, 7), (2, 0), (2, 1), (2, 2)])
def test_golden(version: tuple[int, int], rewrite: bool) -> None:
    text = containerd.containerd_config(version, FACTS)
    path = GOLDEN / f"containerd-{version[0]}.{version[1]}.toml"
    if rewrite:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("version", [(1, 6), (2, 0)])
def test_facts_reach_the_configuration(version: tuple[int, int]) -> None:
    facts = replace(FACTS, snapshotter="native", restrict_oom_score_adj=True)
    text = containerd.containerd_config(version, facts)
    tomllib.loads(text)
    assert 'snapshotter = "native"' in text
    assert "restrict_oom_score_adj = true" in text


@pytest.mark.parametrize("version", [(1, 5), (0, 9), (3, 0)])
def test_refuses_versions_it_does_not_know(version: tuple[int, int]) -> None:
    with pytest.raises(CommandError, match="is not supported: it takes"):
        containerd.containerd_config(version, FACTS)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", (1, 6)),
        ("containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490", (2, 1)),
        ("containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da", (1, 7)),
        ("containerd github.com/containerd/containerd/v2 2.0.0-rc.1", (2, 0)),
    ],
)
def test_parse_version(text: str, version: tuple[int, int]) -> None:
    assert containerd.parse_version(text) == version


def test_parse_version_of_nonsense() -> None:
    with pytest.raises(CommandError, match="cannot tell containerd's version"):
        containerd.parse_version("containerd v2 of 26 March")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Layout]:
    """A containerd of our own with its images, as `up` starts it."""
    layout = Layout(tmp_path / "data", tmp_path / "run")
    layout.containerd_root.mkdir(parents=True)
    layout.containerd_config.write_text(containerd.machine_config(layout, images.PAUSE))
    argv = (containerd.find_binary("containerd"), "--config", str(layout.containerd_config))
    control.write_spec(layout, [control.DaemonSpec("containerd", argv)], dict(os.environ))
    control.start(layout)
    containerd.wait_ready(layout)
    yield layout
    control.stop(layout)
    subprocess.run(["umount", "-q", "-R", layout.data_dir], check=False)


@pytest.mark.needs("root", "containerd", "busybox")
def test_the_machines_containerd_takes_it(own: Layout) -> None:
    plugins = [line.split() for line in containerd.ctr(own, "plugins", "ls").splitlines()[1:]]
    assert {words[1]: words[-1] for words in plugins if words and words[1] == "cri"} == {
        "cri": "ok"
    }
    # "skip" is what containerd says of a plugin that has nothing to do on this machine.
    assert {words[-1] for words in plugins if words} <= {"ok", "skip"}
    own.images.write_bytes(images.machine_archive())
    containerd.import_images(own, own.images)
    # The CRI adds a name by digest for each.
    assert containerd.image_names(own) >= {image.name for image in images.images()}
