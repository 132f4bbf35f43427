"""The next command to try: the command of a comparison with something changed."""

from __future__ import annotations

import shlex
from itertools import pairwise

from nas_fusion.analysis.arms import Comparison
from nas_fusion.space import LISTED

_REPEATED = ("--set", "--cohort-set")
_WORDS = ("nas-fusion", "python", "python3", "-m", "nas_fusion")


def next_command(comparison: Comparison, options: dict[str, str], *, verb: str | None = None) -> str:
    """Return the comparison's command with some options changed, nothing if it has them all already.

    A study is never continued with other settings, so the command names a study of its own. Of a space that is too large to
    evaluate all of it, or becomes so, no exhaustive search is asked.

    Args:
        comparison: Made by a command, or else by a program: then a command of the same space is returned.
        options: Such as `{"--folds": "5"}`; they replace those of the same name, and an option of space or cohort
            (`{"--set": "scope=full"}`) those of the same key.
        verb: `search` or `compare`, `None` for the same one.
    """
    words = shlex.split(comparison.command)
    head = [word for word in words[:3] if word.rsplit("/", 1)[-1] in _WORDS]
    words = words[len(head) :] or ["compare", comparison.space.name]
    if verb is not None:
        words[0] = verb
        words = _without(words, "--sampler" if verb == "compare" else "--samplers")
    if verb is None and options and all(_is_said(words, option, value) for option, value in options.items()):
        return ""
    space = comparison.space
    is_huge = space.size > LISTED or (space.words.wider_is_huge and options == dict(space.words.wider))
    if words[0] == "compare" and is_huge and _value(words, "--modules") is None:  # whose arms are spaces of one module
        samplers = (_value(words, "--samplers") or "sfsa,beam").split(",")
        chosen = [sampler for sampler in samplers if sampler.strip() not in ("exhaustive", "bruteforce", "grid")]
        words = [*_without(words, "--samplers"), "--samplers", ",".join(chosen or ["sfsa", "beam"])]
    for option, value in (options | _study(words, options)).items():
        words = [*_without(words, option, value), option, value]
    return shlex.join(["nas-fusion", *words])


def _is_said(words: list[str], option: str, value: str) -> bool:
    return (option, value) in pairwise(words) if option in _REPEATED else _value(words, option) == value


def _study(words: list[str], options: dict[str, str]) -> dict[str, str]:
    if not options:
        return {}
    parts = [_value(words, "--study") or "", *(part for pair in options.items() for part in pair)]
    return {"--study": "-".join(part.strip("-").replace("=", "-").replace(",", "-") for part in parts if part)}


def _value(words: list[str], option: str) -> str | None:
    for position, word in enumerate(words):
        if word == option and position + 1 < len(words):
            return words[position + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _without(words: list[str], option: str, value: str = "") -> list[str]:
    """Return words without an option and its value; of one that is repeated for every key, without that of the same key."""
    key = f"{value.partition('=')[0]}=" if option in _REPEATED else ""
    kept: list[str] = []
    position = 0
    while position < len(words):
        word, length = words[position], 2 if words[position] == option else 1
        said = words[position + 1] if length == 2 and position + 1 < len(words) else word.removeprefix(f"{option}=")
        if not (length == 2 or word.startswith(f"{option}=")) or not said.startswith(key):
            kept += words[position : position + length]
        position += length
    return kept
