"""What a selected configuration gains over the baseline, and whether that can be told from chance."""

from __future__ import annotations

from dataclasses import dataclass

from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.paired import PairedDifference, paired_difference

# Nats. Training the same configuration again with another seed moves its validation loss by 0.02 to 0.03 once it has learned
# (measured on the simulated cohort): smaller differences are no news, whatever their standard error over subjects says.
NEGLIGIBLE = 0.02


@dataclass(frozen=True)
class Gain:
    """Loss of the baseline minus loss of what a search selected, on the same subjects.

    Attributes:
        validation: On the validation subjects, with an interval that allows for the choice among `candidates`.
        test: On the test subjects, on which nothing was chosen; `None` as long as they are untouched.
        candidates: Configurations among which the search chose, the baseline left out.
    """

    validation: PairedDifference
    test: PairedDifference | None
    candidates: int

    @property
    def selected(self) -> bool:
        """Whether the gain on validation is neither negligible nor explained by choosing the best of many."""
        return self.validation.low > 0 and self.validation.mean > NEGLIGIBLE

    @property
    def confirmed(self) -> bool:
        """Whether it is real: on validation, and on the test subjects too where they have been looked at."""
        return self.selected and (self.test is None or self.test.low > 0)


def gain_of(comparison: Comparison, arm: Arm) -> Gain | None:
    """Return what a search gained over the baseline; `None` where the baseline's predictions are not known."""
    baseline = comparison.baseline
    if baseline is None or arm.best is None:
        return None
    candidates = max(1, len({e.configuration for e in arm.evaluations} - {comparison.space.baseline, None}))
    validation = paired_difference(baseline.validation, arm.validation, candidates=candidates)
    both = baseline.test is not None and arm.test is not None
    test = paired_difference(baseline.test, arm.test) if both else None  # type: ignore[arg-type]
    return Gain(validation, test, candidates)
