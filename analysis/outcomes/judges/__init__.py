"""Judges label answers: refusal, partial, compliance, degenerate or unjudged. They see text, never a model."""

from analysis.outcomes.judges.judgement import Judge, Judgement, Label, Span
from analysis.outcomes.judges.registry import judge_names, load_judge

__all__ = ["Judge", "Judgement", "Label", "Span", "judge_names", "load_judge"]
