"""Words of a search space: how reports, tables, figures and diagnoses speak of what it searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Options = tuple[tuple[str, str], ...]
"""Options of the command line, each with its value."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a space's parameters, choices and baseline are called, and what a search of it means for its user.

    The defaults are those of fusion points, where parameters are places and choices are modules. A space that searches
    something else gives its own as a class attribute, `SearchSpace.words`.

    Example:
        >>> words = Words(title="Which experts", parameters="routing options")
        >>> words.title, words.baseline
        ('Which experts', 'the baseline')

    Attributes:
        title: Heading of a report, before the names of space and cohort.
        question: What the diagnosis answers.
        parameter: What one parameter is called within a sentence.
        parameters: The same of several.
        active: Title of an axis that counts parameters that are not off.
        chosen: Heading of the column that says what a search selected.
        choice: What a choice that is not off is called.
        choices: The same of several.
        none: What stands in tables where every parameter is off.
        names_choices: Whether a choice is named even where its parameter offers no other.
        short: `parameter=choice` to what stands for both in figures, where the parameter's name alone would not tell.
        baseline: What the baseline is called within a sentence.
        baseline_title: What it is called in tables.
        baseline_is: What it is, after its name and a comma.
        baseline_fuses: Whether modalities meet inside the baseline's network already, not at the logits only.
        pays: The verdict where what was selected is better than the baseline, to be followed by a colon.
        brings_nothing: The verdict where it is not.
        unproven: The verdict where the test subjects do not confirm it.
        whether: What cannot be said where the baseline is not known, after "so".
        keep: The advice that follows from a lead within chance.
        baseline_causes: Likely causes of a search that kept the baseline.
        chance_causes: Likely causes of a lead within chance, beside the choice of the best of many.
        late_fusion_causes: Likely causes of late fusion being as good.
        curves: Why some learning curves begin low.
        noise_cause: How a noisy modality harms the others.
        folds_cause: Why folds may choose differently, beside chance.
        local_cause: Why a search that changes one parameter at a time may be trapped.
        not_compared: What a single search says nothing of and a comparison trains too.
        wider: What to try next where the baseline was kept.
        wider_is_huge: Whether that opens more configurations than exhaustive search can evaluate.
        other: What to try next where late fusion is as good, or where one of two modalities is noise.
        certainty: What to try next where a lead is within chance though there are several folds.
        enough_subjects: Fewer validation subjects than these cannot tell the space's configurations apart; 0 if not known.
    """

    title: str = "Where to fuse"
    question: str = "Does fusion pay?"
    parameter: str = "point"
    parameters: str = "points"
    active: str = "active fusion points"
    chosen: str = "Chosen points"
    choice: str = "module"
    choices: str = "modules"
    none: str = "none"
    names_choices: bool = False
    short: Mapping[str, str] = field(default_factory=dict)
    baseline: str = "the baseline"
    baseline_title: str = "A_0: no fusion before the logits"
    baseline_is: str = "where only the logits meet"
    baseline_fuses: bool = False
    pays: str = "Cross-modal fusion pays"
    brings_nothing: str = "Fusion brings nothing here"
    unproven: str = "Fusion is not proven here"
    whether: str = "whether fusion pays cannot be said"
    keep: str = "Keep the baseline."
    baseline_causes: tuple[str, ...] = (
        "the modalities suffice side by side: there is no interaction between them that the label depends on",
        "the fusion module is badly tuned or of the wrong kind",
        "training was too short for a new module to earn its place",
    )
    chance_causes: tuple[str, ...] = (
        "a candidate has trained longer than its parent, from whose weights it started",
        "too few validation subjects to see a small effect",
    )
    late_fusion_causes: tuple[str, ...] = (
        "there is no useful interaction between the modalities at these depths",
        "joint training lets one stream learn and the others rest",
        "the fused network is larger and overfits",
    )
    curves: str = "Inherited weights explain curves that begin low."
    noise_cause: str = "the module's gate passes the noise of one stream on to the others"
    folds_cause: str = "the best timing of fusion differs between subgroups and does not generalise"
    local_cause: str = "some points are worth little alone and much together, so no single step leads there"
    not_compared: tuple[str, ...] = ("late fusion", "single modalities")
    wider: Options = (("--module", "mmtm,concat_conv"),)
    wider_is_huge: bool = False
    other: Options = (("--module", "concat_conv"),)
    certainty: Options = (("--seed", "1"),)
    enough_subjects: int = 0
