"""Objects as the rows of a table, the way `kubectl get` shows them.

The server decides on columns and cells (KEP-514), so every client shows the same. `columns.json`
holds the columns of each kind, the modules here compute the cells from objects; `render` joins
them to a meta.k8s.io Table. Source: pkg/printers/internalversion of Kubernetes 1.36. Nothing here
reads a clock: what time it is, is told.
"""

from controlplane.rest.table.columns import columns
from controlplane.rest.table.render import Item, cells, row, table

__all__ = ["Item", "cells", "columns", "row", "table"]
