"""A finished run as one file, and back: result, answers, tokens, prompts and model, each with its digest."""

from backend.services.archives.archives import Archives

__all__ = ["Archives"]
