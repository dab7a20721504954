"""Where everything of ours lies: one data directory that lasts, one run directory that does not."""

from dataclasses import dataclass
from pathlib import Path

DATA_DIR = Path("/var/lib/pinnace")
RUN_DIR = Path("/run/pinnace")


@dataclass(frozen=True)
class Layout:
    """The names below a data directory and the run directory."""

    data_dir: Path = DATA_DIR
    run_dir: Path = RUN_DIR

    @property
    def marker(self) -> Path:
        """Its presence says that the data directory is ours to write, and to remove."""
        return self.data_dir / ".pinnace"

    @property
    def store(self) -> Path:
        return self.data_dir / "store"

    @property
    def pki(self) -> Path:
        return self.data_dir / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.kubeconfig"

    @property
    def logs(self) -> Path:
        return self.data_dir / "log"

    @property
    def images(self) -> Path:
        return self.data_dir / "images.tar"

    @property
    def packages(self) -> Path:
        """The Debian packages that we installed, one name a line."""
        return self.data_dir / "packages"

    @property
    def containerd_root(self) -> Path:
        return self.data_dir / "containerd"

    @property
    def containerd_config(self) -> Path:
        return self.data_dir / "containerd.toml"

    @property
    def registries(self) -> Path:
        """containerd's `certs.d`: per registry a folder with hosts.toml."""
        return self.data_dir / "certs.d"

    @property
    def cni_bin(self) -> Path:
        return self.data_dir / "cni" / "bin"

    @property
    def cni_conf(self) -> Path:
        return self.data_dir / "cni" / "conf.d"

    @property
    def node(self) -> Path:
        return self.data_dir / "node"

    @property
    def containerd_state(self) -> Path:
        return self.run_dir / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.containerd_state / "containerd.sock"

    @property
    def runc_root(self) -> Path:
        return self.run_dir / "runc"

    @property
    def supervisor_pid(self) -> Path:
        return self.run_dir / "supervisor.pid"

    @property
    def supervisor_socket(self) -> Path:
        return self.run_dir / "supervisor.sock"

    @property
    def supervisor_spec(self) -> Path:
        return self.run_dir / "supervisor.json"
