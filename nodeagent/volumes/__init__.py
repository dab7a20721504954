"""Volumes of pods, as folders on the host: emptyDir, configMap, secret, projected, hostPath.

`payload` decides which files a volume holds (pure); `atomic_writer`, `mounts` and `ownership`
put them there; `manager` joins them per pod. Neighbours: `pods`, which asks for a pod's volumes
before its first container and again whenever something they hold changed. A volume type that is
not done here is refused by name; nothing is mounted in silence.
"""
