"""Model organisms: tiny mixture-of-experts chat models whose safety-critical experts are known by measurement."""

from analysis.organisms.registry import organism_names, organism_path, organism_spec, train_organism
from analysis.organisms.spec import OrganismSpec

__all__ = ["OrganismSpec", "organism_names", "organism_path", "organism_spec", "train_organism"]
