"""What Kubernetes fills in where the user said nothing.

Rules belong to the structures they fill (a Container is defaulted alike in a Pod and in a
CronJob's template), so one walk over an object applies them: `tables` holds plain values, the
modules beside it what depends on more than one field, `walk` finds where in a kind's tree the
structures with rules are. Source: pkg/apis/*/*/defaults.go, and the fields that Go's encoder
always writes.

Objects are freshly decoded and owned by the caller: they are changed in place. What admission
adds (service account, tolerations, priority) and what is allocated is not done here.
"""

from controlplane.registry.strategy.defaults.walk import apply_defaults

__all__ = ["apply_defaults"]
