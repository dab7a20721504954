"""What of this node and its agent the pods' configuration depends on."""

from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.pods.container_config import Machine
from nodeagent.pods.dns import ClusterDns
from nodeagent.pods.fields import NodeFacts


@dataclass(frozen=True)
class Settings:
    """Fixed for the agent's life."""

    node: NodeFacts
    machine: Machine
    logs_dir: Path
    cluster_dns: ClusterDns = field(default_factory=ClusterDns)
