"""Is what ExpertScope says about an architecture true? Every family of transformers, held against the truth."""

from analysis.conformance.check import check_families, check_family
from analysis.conformance.families import Family, families, family
from analysis.conformance.result import FamilyResult

__all__ = ["Family", "FamilyResult", "check_families", "check_family", "families", "family"]
