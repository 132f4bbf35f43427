"""The page of the record: what was claimed, what was found, and the tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks.conditions import sentence
from benchmarks.greedy_vs_exhaustive.claims import AGAINST
from benchmarks.greedy_vs_exhaustive.costs import costs, regrets
from benchmarks.greedy_vs_exhaustive.landscapes import RECORDED, SHARE
from benchmarks.greedy_vs_exhaustive.measures import wilson
from benchmarks.greedy_vs_exhaustive.searchers import OURS, PEERS, SEARCHERS
from benchmarks.greedy_vs_exhaustive.summary import best_of_ours

Entry = dict[str, Any]
ENOUGH = 0.95
EQUAL = 1e-9
"""Means of the same regrets may differ by rounding."""


def page(record: dict[str, Any]) -> str:
    """Return the whole record as a Markdown page."""
    entries, settings = record["entries"], record["settings"]
    parts = [
        "# Greedy against exhaustive: every sampler on landscapes whose optimum is known",
        _intro(settings),
        f"{sentence(record['conditions'])} Made by `{record['command']}`: {_minutes(entries):.0f} minutes of processor time.",
        "![Mean regret against evaluations](greedy_vs_exhaustive.png)",
        "Each line is the mean over what its sampler searched, few for GP: the margins below compare on the same landscapes.",
        "## In short",
        short(entries),
        "## Is an optimum found within the budget?",
        _budgets(entries),
        "## Is the surrogate's mean regret ever above that of Optuna's samplers?",
        _margins(entries),
        "## How often an optimum is found at all",
        found(entries),
        "## What a search costs",
        costs(entries),
        regrets(entries),
        "## Repetitions",
        _repeated(entries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _intro(settings: dict[str, Any]) -> str:
    counts = {kind: _by_size(by_size) for kind, by_size in settings["counts"].items()}
    return (
        "Synthetic families (`nas_fusion.analysis.families`), landscapes by their seeds from 0 on. Of each family our\n"
        f"samplers searched {counts['ours']}; Optuna's {counts['peers']};\n"
        f"its slow GP, and what only enumerates, {counts['slow']}; the surrogate with\n"
        f"as many evaluations as are looked at, for the comparison at every budget, {counts['long']}.\n"
        "Ours were tuned on seeds from 10 000 on, with other parameters of the families.\n"
        f"Recorded landscapes: real training, each with its points in {settings['orders']} orders. An optimum is *found* when\n"
        "its loss has been seen; of means over folds or seeds, one within a standard error of the lowest counts. Regret is\n"
        "that of the best so far in units of the regret of a configuration drawn blindly. All have their defaults. Intervals\n"
        "are 95 %: Wilson's for shares, bootstrap for means; over tables for recorded landscapes."
    )


def _by_size(counts: Mapping[str, int]) -> str:
    """Return counts by number of points in words; JSON has made words of the numbers."""
    sizes = {n: [str(m) for m, each in counts.items() if each == n] for n in counts.values()}
    return ", ".join(f"{n} (m = {', '.join(ms)})" for n, ms in sizes.items())


def _minutes(entries: Sequence[Entry]) -> float:
    """Return the processor time of all searches."""
    return sum(facts["n"] * facts["seconds"] for entry in entries for facts in entry["searchers"].values()) / 60


def short(entries: Sequence[Entry]) -> str:
    """Return, for interactions of order at most 2 and recorded landscapes, what holds and what does not; then for the rest."""
    lines = []
    for title, chosen in (
        ("Order at most 2, and recorded", [entry for entry in entries if is_claimed(entry)]),
        ("Higher orders, and noise", [entry for entry in entries if not is_claimed(entry)]),
    ):
        if chosen:
            lines += [f"{title}:", "", *_verdicts(chosen), ""]
    return "\n".join(lines).rstrip()


def is_claimed(entry: Entry) -> bool:
    """Return whether an entry is one that should be solved: interactions of order at most 2, or recorded."""
    return not _is_synthetic(entry) or (entry["order"] is not None and entry["order"] <= 2)


def _verdicts(entries: Sequence[Entry]) -> list[str]:
    lines = []
    for name in ("surrogate", "best of ours"):
        shares = {}
        for entry in entries:
            chosen = best_of_ours(entry) if name == "best of ours" else name
            if chosen in entry["searchers"]:
                shares[_label(entry)] = entry["searchers"][chosen]["found_in_budget"][0]
        low = [f"{label} {share:.0%}" for label, share in shares.items() if share < ENOUGH]
        rule = f"{name}: an optimum within the budget in at least {ENOUGH:.0%} of searches"
        lines.append(f"- {rule} in {_count(shares, low)}{_listed('less in', low)}.")
    lines += _pooled(entries)
    for peer in AGAINST:
        known = [entry for entry in entries if peer in entry["margins"]]
        higher = [entry for entry in known if entry["margins"][peer]["trials"]["worst"] > EQUAL]
        above = [_above(entry, peer) for entry in higher if entry["margins"][peer]["trials"]["low"] > 0]
        unsure = [_above(entry, peer) for entry in higher if entry["margins"][peer]["trials"]["low"] <= 0]
        rule = f"surrogate's mean regret at most that of {peer} at every budget in {_count(known, higher)}"
        lines.append(f"- {rule}{_listed('above in', above)}{_listed('above, but by an interval that holds 0, in', unsure)}.")
    return lines


def _above(entry: Entry, peer: str) -> str:
    """Return by how much the surrogate is above a peer, and where."""
    worst = entry["margins"][peer]["trials"]
    return f"{_label(entry)} by {worst['worst']:.3f} = {worst['worst'] * entry['unit']:.3f} nats at {worst['at']}"


def _pooled(entries: Sequence[Entry]) -> list[str]:
    """Return how often the surrogate found an optimum within the budget, all synthetic families together."""
    lines = []
    for m in sorted({entry["m"] for entry in entries}):
        known = [
            e["searchers"]["surrogate"] for e in entries if e["m"] == m and "surrogate" in e["searchers"] and _is_synthetic(e)
        ]
        if known:
            n = sum(facts["n"] for facts in known)
            hits = sum(round(facts["n"] * facts["found_in_budget"][0]) for facts in known)
            low, high = wilson(hits, n)
            lines.append(f"- surrogate, synthetic families together, m = {m}: {hits} of {n} ({low:.1%} to {high:.1%}).")
    return lines


def _is_synthetic(entry: Entry) -> bool:
    return not entry["family"].startswith(RECORDED)


def _count(known: Collection[Any], missed: Collection[Any]) -> str:
    return f"{len(known) - len(missed)} of {len(known)}"


def _listed(title: str, labels: Sequence[str]) -> str:
    return f"; {title} {', '.join(labels)}" if labels else ""


def _label(entry: Entry) -> str:
    return f"{entry['family']} (m = {entry['m']})"


def _budgets(entries: Sequence[Entry]) -> str:
    budgets = ", ".join(f"{share:.0%} at m = {m}" for m, share in SHARE.items())
    lines = [
        f"Within the budget ({budgets} of all configurations): the surrogate and, where another",
        "of ours is better, the best, picked with hindsight.",
        "",
        "| family | order | m | budget | of | surrogate | best of ours | sfsa | tpe | gp | nsgaii | random |",
        "| --- " * 12 + "|",
    ]
    for entry in entries:
        best = best_of_ours(entry)
        cells = [
            _share(entry, "surrogate"),
            f"{best} {_share(entry, best)}" if best != "surrogate" else "surrogate",
            *(_share(entry, name) for name in ("sfsa", "tpe", "gp", "nsgaii", "random")),
        ]
        lines.append(f"| {_head(entry)} | {entry['budget']} | {entry['size']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _margins(entries: Sequence[Entry]) -> str:
    lines = [
        "The largest difference of mean regrets (surrogate minus the other, same landscapes) from evaluation m + 1 on, at",
        "which evaluation, and its interval there: at most 0 means never above. In brackets the same where a repeated",
        "configuration counts as no evaluation, as with a store that answers it. The unit is given in nats.",
        "",
        "| family | order | m | unit | " + " | ".join(AGAINST) + " |",
        "| --- " * (4 + len(AGAINST)) + "|",
    ]
    for entry in entries:
        found = entry["margins"]
        cells = [_margin(found[peer]) if peer in found else "" for peer in AGAINST]
        lines.append(f"| {_head(entry)} | {entry['unit']:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def found(entries: Sequence[Entry]) -> str:
    """Return the table of how often an optimum is found before the search ends, and after how many evaluations it ends."""
    names = [name for name in SEARCHERS if any(name in entry["searchers"] for entry in entries)]
    lines = [
        "Percent of searches that have found an optimum when they end (Optuna's: at the horizon), and mean evaluations.",
        "",
        "| family | order | m | " + " | ".join(names) + " |",
        "| --- " * (3 + len(names)) + "|",
    ]
    for entry in entries:
        cells = [_found(entry["searchers"][name]) if name in entry["searchers"] else "" for name in names]
        lines.append(f"| {_head(entry)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _repeated(entries: Sequence[Entry]) -> str:
    names = [name for name in PEERS if any(name in entry["searchers"] for entry in entries)]
    sizes = sorted({entry["m"] for entry in entries})
    lines = [
        "Percent of trials whose configuration had been evaluated before, mean over families; ours: none.",
        "",
        "| m | " + " | ".join(names) + " | ours |",
        "| --- " * (2 + len(names)) + "|",
    ]
    for m in sizes:
        chosen = [entry["searchers"] for entry in entries if entry["m"] == m]
        cells = [_mean([facts[name]["repeated"] for facts in chosen if name in facts]) for name in names]
        own = [each["repeated"] for facts in chosen for name, each in facts.items() if name in OURS]
        lines.append(f"| {m} | " + " | ".join(cells) + f" | {_mean(own)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.0f}" if values else ""


def _head(entry: Entry) -> str:
    return f"{entry['family']} | {'' if entry['order'] is None else entry['order']} | {entry['m']}"


def _share(entry: Entry, name: str) -> str:
    if name not in entry["searchers"]:
        return ""
    share, low, high = (100 * value for value in entry["searchers"][name]["found_in_budget"])
    return f"{share:.0f} ({low:.0f}–{high:.0f})"


def _found(facts: dict[str, Any]) -> str:
    return f"{100 * facts['found'][0]:.0f} · {facts['evaluations']:.0f}"


def _margin(margins: dict[str, Any]) -> str:
    trials, distinct = margins["trials"], margins["distinct"]
    interval = f"{trials['worst']:+.3f} at {trials['at']} ({trials['low']:+.3f} to {trials['high']:+.3f})"
    return f"{interval} [{distinct['worst']:+.3f} at {distinct['at']}]"
