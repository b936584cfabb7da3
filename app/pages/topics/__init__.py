"""/ui/runs/{id}/topics: topic against safety."""
