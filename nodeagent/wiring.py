"""What workers share, made and joined: which part is handed to which."""

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock
from kubeapi.client import Client
from kubeapi.informer import Informer
from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupManager
from nodeagent.cri import CriClient
from nodeagent.events import EventRecorder
from nodeagent.flags import Flags
from nodeagent.images import ImageManager
from nodeagent.pods.admission import Admission
from nodeagent.pods.executor import PodExecutor
from nodeagent.pods.killing import Killer
from nodeagent.pods.material import MaterialSource
from nodeagent.pods.settings import Settings
from nodeagent.pods.status_writer import StatusWriter
from nodeagent.pods.tools import Tools
from nodeagent.probes.manager import ProbeManager
from nodeagent.runtime_reader import RuntimeReader
from nodeagent.tokens import TokenManager
from nodeagent.volumes.manager import VolumeManager

STARTS_PER_CPU = 2
# So that one that waits for its network does not hold up a small machine.
MIN_STARTS_AT_ONCE = 4


@dataclass(frozen=True)
class Basics:
    """What every part of the agent is made with."""

    flags: Flags
    clock: Clock
    rng: random.Random
    client: Client
    cri: CriClient
    cgroups: CgroupManager
    events: EventRecorder


def make_tools(
    basics: Basics,
    settings: Settings,
    reader: RuntimeReader,
    services: Informer[core_v1.Service],
    wake: Callable[[str], None],
    network_problem: Callable[[], str],
) -> Tools:
    """`wake(uid)` has a pod looked at."""
    clock, rng, client, cri = basics.clock, basics.rng, basics.client, basics.cri
    cgroups, events = basics.cgroups, basics.events
    volumes = VolumeManager(basics.flags.root_dir, clock)
    killer = Killer(cri, events, clock)
    images = ImageManager(cri, events, clock)
    tokens = TokenManager(client, clock)
    return Tools(
        client=client,
        cri=cri,
        reader=reader,
        executor=PodExecutor(
            cri,
            reader,
            images,
            volumes,
            cgroups,
            events,
            killer,
            settings,
            clock,
            asyncio.Semaphore(max(MIN_STARTS_AT_ONCE, STARTS_PER_CPU * (os.cpu_count() or 1))),
        ),
        killer=killer,
        material=MaterialSource(client, volumes, tokens, events, settings, services, wake, rng),
        volumes=volumes,
        cgroups=cgroups,
        probes=ProbeManager(cri, events, clock, wake),
        writer=StatusWriter(client, clock, rng),
        events=events,
        admission=Admission(settings.node.allocatable or {}),
        settings=settings,
        clock=clock,
        rng=rng,
        network_problem=network_problem,
    )
