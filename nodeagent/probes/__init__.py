"""Probes of running containers: liveness, readiness and startup.

`checks` performs one probe (http, tcp, exec, grpc), `counting` decides what a row of results
means (pure), `manager` runs one task per probe of each running container. Neighbours: `pods`
reads the verdicts; a verdict that changes wakes the pod. It never stops a container itself.
"""
