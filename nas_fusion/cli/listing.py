"""`nas-fusion list`: what is installed and from where."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_fusion.cli.options import AllowLocalCode
from nas_fusion.cli.output import print_json, print_table
from nas_fusion.plugins import KINDS, Plugin

Code = Annotated[
    list[str] | None, typer.Argument(metavar="[FILE.py:NAME]...", help="Code of files to list too, with --allow-local-code.")
]


def list_plugins(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    code: Code = None,
    allow_local_code: AllowLocalCode = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the installed spaces, samplers, modules, backbones, routers or cohorts, and where each comes from."""
    from nas_fusion import plugins

    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, but got {kind!r}.")
    for place in code or ():
        plugins.adopt(kind, place, allowed=allow_local_code)
    found = plugins.available(kind)
    if kind == "samplers":
        found += [Plugin(kind, name, "optuna.samplers", *_optuna()) for name in _optuna_samplers()]
    if as_json:
        print_json({kind: [_as_json(plugin) for plugin in found]})
    else:
        print_table(["name", "where", "from", "problem"], [[p.name, p.target, p.origin, _problem(p)] for p in found])


def _problem(plugin: Plugin) -> str:
    """Return why a plug-in cannot be used, or who else claims its name."""
    claimed = f"{', '.join(plugin.others)} would bring another {plugin.name!r}, which is not used." if plugin.others else ""
    return " ".join(part for part in (plugin.error, claimed) if part)


def _as_json(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "target": plugin.target,
        "from": plugin.origin,
        "error": plugin.error or "",
        "also_claimed_by": list(plugin.others),
    }


def _optuna() -> tuple[str, str]:
    import optuna

    return "optuna", optuna.__version__


def _optuna_samplers() -> list[str]:
    from nas_fusion.samplers import OPTUNA_SAMPLERS

    return list(OPTUNA_SAMPLERS)
