"""What all workers share: the ways to the API, to the runtime and to the machine."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock
from kubeapi.client import Client
from nodeagent.cgroups import CgroupManager
from nodeagent.cri import CriClient
from nodeagent.events import EventRecorder
from nodeagent.pods.admission import Admission
from nodeagent.pods.executor import PodExecutor
from nodeagent.pods.killing import Killer
from nodeagent.pods.material import MaterialSource
from nodeagent.pods.settings import Settings
from nodeagent.pods.status_writer import StatusWriter
from nodeagent.probes.manager import ProbeManager
from nodeagent.runtime_reader import RuntimeReader
from nodeagent.volumes.manager import VolumeManager


@dataclass(frozen=True)
class Tools:
    """`network_problem` says why pods cannot have a network now; "" where they can."""

    client: Client
    cri: CriClient
    reader: RuntimeReader
    executor: PodExecutor
    killer: Killer
    material: MaterialSource
    volumes: VolumeManager
    cgroups: CgroupManager
    probes: ProbeManager
    writer: StatusWriter
    events: EventRecorder
    admission: Admission
    settings: Settings
    clock: Clock
    rng: random.Random
    network_problem: Callable[[], str]
