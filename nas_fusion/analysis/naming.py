"""How configurations and arms are named in tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile

from nas_fusion.analysis.arms import Arm
from nas_fusion.space import SearchSpace

_SEARCHES = {
    "sfsa": "SFSA",
    "beam": "Beam search",
    "backward": "Backward search",
    "floating": "Floating search",
    "surrogate": "Surrogate search",
    "differentiable": "Differentiable search",
    "exhaustive": "Exhaustive search",
    "random": "Random search",
    "tpe": "TPE",
    "gp": "Gaussian process",
    "nsgaii": "NSGA-II",
    "bruteforce": "Brute force",
    "grid": "Grid search",
}
_LONG = 9  # letters
_LONGEST = 36  # letters: neighbours in a figure would overlap


def search_title(sampler: str) -> str:
    """Return how a sampler is called at the beginning of a sentence: `SFSA`; a plug-in's by its own name."""
    return _SEARCHES.get(sampler, sampler)


def search_in_words(sampler: str, options: Mapping[str, object]) -> str:
    """Return how a sampler is called within a sentence, with its options: `beam search (width=3)`."""
    title = search_title(sampler)
    title = title if title.split()[0].isupper() or sampler == "gp" else title[0].lower() + title[1:]
    stated = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"{title} ({stated})" if stated else title


def points(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return what is active in words: `layer1 + layer3`, with the choices where there are several, `none` for the baseline.

    A space's words may have it otherwise: see `Words.names_choices` and `Words.none`.
    """
    return " + ".join(named(space, p, choice) for p, choice in space.active(configuration).items()) or space.words.none


def short_points(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return the same for figures, without what all parameters' names begin with: `1+3`, and `A₀` for the baseline.

    Choices are shortened as `short_choices` says: `1m+3c`, after words `early:m+late:c`. Of long names, three and more
    parameters in a row are drawn together: `1+3–8`; of names that are longer than any figure has room for, the beginning:
    `sc:e3+fc:e3+…`.
    """
    text = _short_points(space, configuration)
    while len(text) > _LONGEST and "+" in text.removesuffix("+…"):
        text = text.removesuffix("+…").rpartition("+")[0] + "+…"
    return text


def _short_points(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    shared = 0 if len(space.parameters) == 1 else len(list(takewhile(_equal, zip(*space.parameters, strict=False))))
    names, short = {p: p[shared:] or p for p in space.parameters}, short_choices(space)
    between = ":" if space.words.names_choices or not all(name[-1:].isdigit() for name in names.values()) else ""
    active = {
        p: space.words.short.get(f"{p}={c}") or names[p] + (between + short[c] if len(space.parameters[p]) > 2 else "")
        for p, c in space.active(configuration).items()
    }
    text = "+".join(active.values()) or "A₀"
    if len(text) <= _LONG or any(len(choices) > 2 for choices in space.parameters.values()):
        return text
    order = {p: position for position, p in enumerate(space.parameters)}
    runs = [list(run) for _, run in groupby(enumerate(active), lambda item: order[item[1]] - item[0])]
    parts = [[active[p] for _, p in run] for run in runs]
    return "+".join(f"{part[0]}–{part[-1]}" if len(part) > 2 else "+".join(part) for part in parts)


def short_choices(space: SearchSpace) -> dict[str, str]:
    """Return each choice that parameters with several have, with its shortest beginning that no other has; often empty."""
    choices = sorted({choice for several in space.parameters.values() if len(several) > 2 for choice in several[1:]})
    return {choice: _beginning(choice, [other for other in choices if other != choice]) for choice in choices}


def _beginning(word: str, others: list[str]) -> str:
    lengths = range(1, len(word) + 1)
    return next((word[:n] for n in lengths if not any(other.startswith(word[:n]) for other in others)), word)


def in_words(space: SearchSpace, configuration: Mapping[str, str]) -> str:
    """Return the same as `points` for use in a sentence: the baseline's name where nothing is active."""
    return points(space, configuration) if space.active(configuration) else space.words.baseline


def chosen_in_words(space: SearchSpace, arm: Arm) -> str:
    """Return what an arm selected, for use in a sentence."""
    return arm.title if arm.best is None else in_words(space, arm.best)


def chosen_points(space: SearchSpace, arm: Arm) -> str:
    """Return what an arm selected in words, nothing for a reference that is no configuration."""
    return "" if arm.best is None else points(space, arm.best)


def named(space: SearchSpace, parameter: str, choice: str) -> str:
    """Return what a parameter is called that is on, with its choice where there are several: `layer1`, `layer1:mmtm`."""
    alone = len(space.parameters[parameter]) == 2 and not space.words.names_choices
    return parameter if alone else f"{parameter}:{choice}"


def count_of_configurations(space: SearchSpace) -> int:
    """Return how many canonical configurations a space has; where they are not worth counting, at most how many."""
    return space.n_configurations or space.size


def all_configurations(space: SearchSpace) -> str:
    """Return the same in words: `all 31 configurations`, without a number where that would be no more than a bound."""
    return "all configurations" if space.n_configurations is None else f"all {space.n_configurations} configurations"


def _equal(letters: tuple[str, ...]) -> bool:
    return len(set(letters)) == 1


def listed(words: Sequence[str], conjunction: str = "and") -> str:
    """Return at least one word as a list within a sentence: `one, two and three`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"
