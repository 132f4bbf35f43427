"""`nas-fusion list`: what is installed and from where."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_fusion.cli.output import print_json, print_table
from nas_fusion.plugins import KINDS


def list_plugins(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the installed spaces, samplers, modules, backbones, routers or cohorts, and where each comes from."""
    from nas_fusion import plugins

    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, but got {kind!r}.")
    found = plugins.available(kind)
    rows = [[p.name, p.target, f"{p.distribution} {p.version}" if p.distribution else "", p.error or ""] for p in found]
    if kind == "samplers":
        rows += [[name, "optuna.samplers", "optuna", ""] for name in _optuna_samplers()]
    if as_json:
        print_json({kind: [dict(zip(("name", "target", "from", "error"), row, strict=True)) for row in rows]})
    else:
        print_table(["name", "where", "from", "problem"], rows)


def _optuna_samplers() -> list[str]:
    from nas_fusion.samplers import OPTUNA_SAMPLERS

    return list(OPTUNA_SAMPLERS)
