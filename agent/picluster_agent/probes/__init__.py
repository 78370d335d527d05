"""Startup, readiness and liveness probes: ``state`` (pure) counts, ``checks`` ask, ``prober`` runs them in time."""
