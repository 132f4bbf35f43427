"""Problems of a user's data: found all at once, each with its subject, its file and the rule that it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes:
        rule: A few words that name the rule, such as `file not fetched`.
        message: What is wrong and what is expected: one sentence that names subject and file too.
        subject: Whose data, empty where it concerns the whole cohort.
        file: Which file, empty where it concerns none.
    """

    rule: str
    message: str
    subject: str = ""
    file: str = ""

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.subject, self.file) if part and part not in self.message)
        return f"{where}: {self.message}" if where else self.message


class CohortError(ValueError):
    """Data that cannot be used.

    Attributes:
        problems: All problems, in the order in which they were found.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            only = self.problems[0]
            text = only.message if only.file and source.endswith(only.file) else str(only)
            super().__init__(f"{source}: {text} [{only.rule}]")
        else:
            lines = [f"- {problem} [{problem.rule}]" for problem in self.problems]
            super().__init__("\n".join([f"{source} has {len(lines)} problems:", *lines]))
