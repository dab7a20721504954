"""Kubernetes' kinds as frozen structs, one module per group and version.

All but this file is written by `python -m kubeapi.generate`. Attributes have the JSON names (a
Python keyword gets a trailing underscore); every field may be None, which means absent. What a
field must hold beyond its type is in `kubeapi.schema`; which kinds are served in
`kubeapi.resources`. Nothing here validates or gives defaults.
"""
