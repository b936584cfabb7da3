"""/ui/runs/{id}/routing: one quantity for every layer and expert."""
