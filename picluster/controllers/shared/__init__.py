"""What several controllers need: judging pods, adopting and releasing dependents, waiting for a cache to catch up."""
