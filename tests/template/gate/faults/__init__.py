"""Rule → faults planted for it, each with what the finding must name. A fault is a statement about a copy `t` of the template."""

from . import api, functions, operations, permissions, portal, queues, stores

FAULTS = {
    **api.FAULTS, **functions.FAULTS, **operations.FAULTS, **permissions.FAULTS, **portal.FAULTS, **queues.FAULTS, **stores.FAULTS,
}
