"""`pinnace down`: the daemons end, containers keep running; with --pods they end too."""

import os

from cluster import control, daemons, options, pods, preflight
from cluster.errors import CommandError
from cluster.steps import Steps


def main(argv: list[str]) -> int:
    parser = options.data_dir_parser(
        "down", "Stop the daemons. Containers keep running, and the next up takes them over."
    )
    parser.add_argument("--pods", action="store_true", help="stop the pods too")
    arguments = parser.parse_args(argv)
    layout = options.layout_of(arguments)
    preflight.require_ours(layout)
    if not layout.marker.exists():
        raise CommandError(f"no cluster was started in {layout.data_dir}")
    steps = Steps()
    if arguments.pods:
        with steps.step("stopping the pods") as step:
            environment = daemons.environment(os.environ)
            pods.only_containerd(layout, options.load(layout), environment)
            step.text = f"{pods.stop_all(layout)} pods stopped"
    with steps.step("stopping the daemons") as step:
        was_up = control.stop(layout)
        orphans = control.stop_orphans(layout)
        step.text = "daemons stopped" if was_up or orphans else "the daemons were down already"
    return 0
