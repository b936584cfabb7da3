"""/ui/models: registered models, one model, and what an adapter changes."""
