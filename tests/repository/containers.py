"""The Dockerfile and the compose file as their tests read them."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str | None
    instructions: list[Instruction]

    def texts(self, word: str) -> list[str]:
        return [one.text for one in self.instructions if one.word == word]

    def environment(self) -> dict[str, str]:
        pairs = [pair.partition("=") for text in self.texts("ENV") for pair in shlex.split(text)]
        return {name: value for name, _, value in pairs}

    def command(self, word: str) -> list[str]:
        """The last CMD, in its exec form; of a HEALTHCHECK what follows its options."""
        found: list[str] = json.loads(re.sub(r"^(--\S+ )*CMD ", "", self.texts(word)[-1]))
        return found


def read_dockerfile(path: Path) -> list[Stage]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, text = line.partition(" ")
        if word == "FROM":
            base, _, name = text.partition(" AS ")
            stages.append(Stage(base, name or None, []))
        else:
            stages[-1].instructions.append(Instruction(word, text.strip()))
    return stages


def read_compose(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def variables(text: str) -> dict[str, str]:
    """Every ${NAME…} of a compose file with what follows the name: ':-default', ':?message' or nothing."""
    return {match[1]: match[2] for match in re.finditer(r"\$\{([A-Z_]+)([^}]*)\}", text)}


def filled(value: str, given: dict[str, str]) -> str:
    """`value` with its variables replaced, as compose does it."""

    def replace(match: re.Match[str]) -> str:
        name, rest = match[1], match[2]
        if name in given:
            return given[name]
        assert rest.startswith(":-"), f"{name} is required"
        return rest[2:]

    return re.sub(r"\$\{([A-Z_]+)([^}]*)\}", replace, value)
