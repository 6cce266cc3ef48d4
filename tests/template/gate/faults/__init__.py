"""Rule → faults planted for it, each with what the finding must name. A fault is a statement about a copy `t` of the template."""

from . import access, api, distribution, functions, limits, operations, parameters, permissions, portal, queues, ringing, secrets, shapes, stores, wiring

MODULES = [access, api, distribution, functions, limits, operations, parameters, permissions, portal, queues, ringing, secrets, shapes, stores, wiring]
FAULTS = {rule: faults for module in MODULES for rule, faults in module.FAULTS.items()}
