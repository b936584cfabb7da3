"""Prompt sets: what they are, where they come from, and how a person's own file becomes one."""

from analysis.prompts.balance import Balance, TopicBalance, balance_of
from analysis.prompts.builtin import builtin_names
from analysis.prompts.importers import ColumnMapping, Deduplication, parse_prompts
from analysis.prompts.prompt_set import Group, Label, Pair, Prompt, PromptSet
from analysis.prompts.sources import load_prompts

__all__ = [
    "Balance",
    "ColumnMapping",
    "Deduplication",
    "Group",
    "Label",
    "Pair",
    "Prompt",
    "PromptSet",
    "TopicBalance",
    "balance_of",
    "builtin_names",
    "load_prompts",
    "parse_prompts",
]
