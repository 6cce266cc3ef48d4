"""A rehearsal of deployments against an emulator of AWS; `run` starts it."""
