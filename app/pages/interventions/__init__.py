"""/ui/runs/{id}/interventions: what masking does, and to which answers."""
