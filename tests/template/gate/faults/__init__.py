"""Rule → faults planted for it, each with what the finding must name. A fault is a statement about a copy `t` of the template."""

from . import access, api, functions, operations, permissions, portal, queues, ringing, secrets, shapes, stores

FAULTS = {
    **access.FAULTS, **api.FAULTS, **functions.FAULTS, **operations.FAULTS, **permissions.FAULTS, **portal.FAULTS, **queues.FAULTS, **ringing.FAULTS, **secrets.FAULTS, **shapes.FAULTS, **stores.FAULTS,
}
