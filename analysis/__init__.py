"""The science of ExpertScope: prompts in, a report out. It knows nothing of web, database or settings."""
