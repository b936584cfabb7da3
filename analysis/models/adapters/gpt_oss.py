"""gpt-oss: the usual block under its own argument names."""

from analysis.models.adapters.base import Adapter


class GptOss(Adapter):
    families = ("gpt_oss",)
    arguments = ("router_indices", "routing_weights")
