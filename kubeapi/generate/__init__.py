"""Writes `kubeapi/types`: a development tool, run as `python -m kubeapi.generate`.

Its input is the published schema of Kubernetes in the PyPI package `kubernetes-validate` (the
`generate` extra). Nothing imports this package at run time, and it imports nothing of the rooms.
"""
