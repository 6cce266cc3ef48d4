"""A rehearsal of deployments with an emulator of AWS; `run` starts it."""
