"""`pinnace up`: one machine becomes a cluster of one node, or what is missing of it comes back.

Idempotent: what is there and right is left alone, so a second `up` is quick and changes nothing.
"""

import http.client
import ipaddress
import json
import os
import time
from collections.abc import Callable

from base import pki
from base.clock import SystemClock
from base.kubeconfig import ensure_kubeconfig
from cluster import (
    containerd,
    control,
    daemons,
    images,
    options,
    packages,
    preflight,
    supervisor,
)
from cluster.api import Api, ApiError
from cluster.errors import CommandError
from cluster.options import Options
from cluster.paths import Layout
from cluster.steps import Steps

READY_S = 60.0
POLL_S = 0.03
# So many deaths in a row within one wait are no accident.
DEATHS_MAX = 4


def main(argv: list[str]) -> int:
    parser = options.data_dir_parser("up", "Start a single-node cluster, or what of it is down.")
    options.add_flags(parser)
    arguments = parser.parse_args(argv)
    layout = options.layout_of(arguments)
    steps = Steps()
    ensure_up(layout, options.merged(options.load(layout), arguments), steps)
    print(f"\nThe cluster is up after {steps.total_s:.1f} s. Talk to it:")
    print(f"  export KUBECONFIG={layout.kubeconfig}\n  kubectl get nodes")
    return 0


def ensure_up(layout: Layout, chosen: Options, steps: Steps) -> None:
    """Have a cluster that is ready, with `chosen` options. Raises CommandError."""
    preflight.claim_data_dir(layout)
    with steps.step("checks of this machine"):
        ports = (chosen.secure_port, chosen.grpc_port, *preflight.NODE_PORTS)
        preflight.check_ports(ports, preflight.own_pids(layout))
        packages.ensure_programs(packages.NODE, layout.packages, steps.note)
        preflight.check_kernel()
        preflight.check_iptables()
    with steps.step("certificates") as step:
        step.text = _ensure_certificates(layout, chosen)
    options.save(layout, chosen)
    with steps.step("starting the daemons") as step:
        step.text = _ensure_daemons(layout, chosen)
    with steps.step("images") as step:
        containerd.wait_ready(layout)
        step.text = _ensure_images(layout)
    api = Api(layout, chosen)
    with steps.step("waiting for the control plane") as step:
        _until(lambda: _control_plane_ready(api), "the control plane is not ready", layout)
        step.text = f"the control plane answers at {options.server(chosen)}"
    name = options.node_name(chosen)
    with steps.step("waiting for the node") as step:
        _until(lambda: node_state(api, name) == "Ready", f"node {name} is not ready", layout)
        step.text = f"node {name} is Ready"
    api.close()


def _ensure_certificates(layout: Layout, chosen: Options) -> str:
    name, address = options.node_name(chosen), options.node_ip(chosen)
    hosts = pki.api_hosts([name, address], service_ip(chosen.service_cluster_ip_range))
    wanted = [*pki.server_and_admin(hosts), *pki.node_and_proxy(name, [name, address])]
    try:
        made = pki.ensure_pki(layout.pki, wanted, SystemClock().now_s())
    except ValueError as error:
        raise CommandError(str(error)) from error
    ensure_kubeconfig(layout.kubeconfig, options.server(chosen), layout.pki)
    if not made:
        return "certificates are in order"
    return "certificates: " + ", ".join(f"{name} ({why})" for name, why in made.items())


def service_ip(service_range: str) -> str:
    """The first address of the range: the Service `kubernetes` has it."""
    try:
        return str(ipaddress.ip_network(service_range)[1])
    except (ValueError, IndexError) as error:
        raise CommandError(f"--service-cluster-ip-range {service_range}: {error}") from error


def _ensure_daemons(layout: Layout, chosen: Options) -> str:
    for directory in (layout.containerd_root, layout.registries, layout.cni_bin, layout.cni_conf):
        directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    layout.containerd_config.write_text(containerd.machine_config(layout, images.PAUSE))
    before = {daemon.name: daemon.pid for daemon in control.daemons(layout) or ()}
    environment = daemons.environment(os.environ)
    control.write_spec(layout, daemons.specs(layout, chosen), environment)
    if control.reload(layout) is None:
        control.start(layout)
    after = {daemon.name: daemon.pid for daemon in control.daemons(layout) or ()}
    changed = [name for name, pid in after.items() if before.get(name) != pid]
    return f"started {', '.join(changed)}" if changed else "the daemons run already"


def _ensure_images(layout: Layout) -> str:
    """Import the images unless containerd has the very ones that would be built now."""
    archive = images.machine_archive()
    wanted = {image.name for image in images.images()}
    same = layout.images.exists() and layout.images.read_bytes() == archive
    if same and wanted <= containerd.image_names(layout):
        return "images are there"
    layout.images.write_bytes(archive)
    containerd.import_images(layout, layout.images)
    return f"images built from {images.find_busybox()} and imported"


def _control_plane_ready(api: Api) -> bool:
    return api.text("/readyz") == "ok"


def node_state(api: Api, name: str) -> str:
    """`Ready`, `NotReady` and why, or `missing`."""
    try:
        node = api.get(f"/api/v1/nodes/{name}")
    except ApiError as error:
        if error.code != 404:
            raise
        return "missing"
    conditions = node.get("status", {}).get("conditions") or []
    ready = next((c for c in conditions if c["type"] == "Ready"), {"status": "Unknown"})
    if ready["status"] == "True":
        return "Ready"
    return f"NotReady: {ready.get('message') or ready.get('reason') or 'no condition yet'}"


def _until(holds: Callable[[], bool], failure: str, layout: Layout) -> None:
    """Ask until it holds; a daemon that dies again and again ends the wait early."""
    deadline_s = supervisor.now_s() + READY_S
    next_look_s = 0.0
    why = ""
    while True:
        try:
            if holds():
                return
            why = ""
        except (OSError, http.client.HTTPException, ApiError, json.JSONDecodeError) as error:
            why = f": {error}"
        if supervisor.now_s() > next_look_s:
            next_look_s = supervisor.now_s() + 0.5
            _refuse_crash_loop(layout)
        if supervisor.now_s() > deadline_s:
            raise CommandError(f"{failure} after {READY_S:.0f} s{why}; see {layout.logs}")
        time.sleep(POLL_S)


def _refuse_crash_loop(layout: Layout) -> None:
    for daemon in control.daemons(layout) or ():
        if daemon.failures >= DEATHS_MAX:
            log = layout.logs / f"{daemon.name}.log"
            said = control.last_log_line(log) or daemon.last_exit
            raise CommandError(f"{daemon.name} does not stay up: {said} ({log})")
