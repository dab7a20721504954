"""The `pinnace` command: it sets a machine up, starts and stops the daemons, and cleans up.

Neighbours: it starts `controlplane`, `nodeagent`, `netproxy` and a containerd of its own as
processes, and hands each its flags. It never decides anything that is theirs: no object is
reconciled, no container started and no rule written here.
"""
