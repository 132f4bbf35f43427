"""Findings: what a diagnosis consists of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = ("good", "note", "warning")


@dataclass(frozen=True)
class Finding:
    """One thing that a reader of a comparison should know.

    Attributes:
        signature: What it is, in one word for programs, such as `baseline_selected`.
        sentence: What was seen, in plain words, with the numbers.
        causes: Likely causes, the likeliest first; empty where there is nothing to explain.
        command: The next command to try, empty where nothing needs to be tried.
        level: `good`, `note` or `warning`.
    """

    signature: str
    sentence: str
    causes: tuple[str, ...] = ()
    command: str = ""
    level: str = "warning"

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"`level` must be one of {', '.join(LEVELS)}, but got {self.level!r}.")


def findings_text(findings: Iterable[Finding]) -> str:
    """Return findings as plain text: each a sentence, its likely causes, and the next command."""
    return "\n".join(_text(finding) for finding in findings)


def findings_markdown(findings: Iterable[Finding]) -> str:
    """Return findings as Markdown, for a note in a dashboard."""
    parts = []
    for finding in findings:
        causes = "".join(f"\n  - {cause}" for cause in finding.causes)
        command = f"\n\n  ```\n  {finding.command}\n  ```" if finding.command else ""
        parts.append(f"- **{finding.level}**: {finding.sentence}{causes}{command}")
    return "\n".join(parts)


def _text(finding: Finding) -> str:
    mark = {"good": "+", "note": "·", "warning": "!"}[finding.level]
    lines = [f"{mark} {finding.sentence}"]
    if finding.causes:
        lines.append(f"  Likely causes: {'; '.join(finding.causes)}.")
    if finding.command:
        lines.append(f"  Next: {finding.command}")
    return "\n".join(lines)
