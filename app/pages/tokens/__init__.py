"""/ui/runs/{id}/tokens: prompts and answers token by token."""
