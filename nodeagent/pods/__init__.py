"""Pods on this node: what has to be done for each is decided, then done.

`actions`, `status`, `env`, `container_config` and their like are pure functions of values;
`executor`, `killing` and `worker` do the work against the CRI. One worker per pod, woken by
anything that may matter and told nothing: it reads the present state. Neighbours: `volumes`,
`probes`, `images` and `cri`. What it never does: schedule, judge a spec that the API accepted, or
keep a state file; what must survive a restart stands in the labels of the containers.
"""
