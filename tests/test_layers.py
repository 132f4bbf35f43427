"""The import arrows between rooms: each may import only what stands below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = ("plugins", "process", "turns", "configuration", "words", "space", "record", "differences", "history", "resampling")
LIGHT += ("spelling", "distributions", "local_code", "ingredients")
LIGHT += ("samplers", "pruners", "analysis", "visualization")
BELOW = {
    "spelling": set[str](),
    "distributions": set[str](),
    "local_code": set[str](),
    "plugins": {"spelling", "distributions", "local_code"},
    "ingredients": {"plugins", "distributions", "local_code"},
    "configuration": set[str](),
    "words": set[str](),
    "space": {"plugins", "configuration", "words"},
    "record": {"space"},
    "process": set[str](),
    "turns": {"process"},
    "differences": set[str](),
    "resampling": set[str](),
    "history": {"space", "record", "process", "differences"},
    "samplers": {"plugins", "space", "record", "history", "resampling"},
    "pruners": {"history"},
    "analysis": {"words", "space", "record", "history", "resampling"},
    "visualization": {"words", "space", "record", "history", "analysis"},
    "fusion": {"plugins", "spelling"},
    "routing": {"plugins"},
    "cohorts": {"plugins", "spelling"},
    "evaluation": {"plugins", "ingredients", "space", "record", "history", "turns", "cohorts"},
    "export": {"plugins", "ingredients", "space", "record", "cohorts", "evaluation"},
    "testing": {"plugins", "space", "record", "fusion", "routing", "cohorts", "evaluation"},
}
MONAI_ROOMS = ("search_spaces", "nas_fusion.cohorts", "nas_fusion.export")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PATHS = [path for top in ("nas_fusion", "search_spaces") for path in sorted((ROOT / top).rglob("*.py"))]
MODULES = {module_name(path) for path in PATHS}


def imports_of(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, type-only imports left out."""
    tree = ast.parse(path.read_text())
    type_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in type_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if names <= MODULES else names | {node.module}
    return found


FILES = {module_name(path): imports_of(path) for path in PATHS}


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_only_what_stands_below(module: str) -> None:
    parts = module.split(".")
    rooms = {name.split(".")[1] for name in FILES[module] if name.startswith("nas_fusion.")}
    if parts[0] == "nas_fusion":
        assert not any(name.split(".")[0] == "search_spaces" for name in FILES[module])
        if len(parts) > 1 and parts[1] in BELOW:
            rooms = {room for room in rooms if any(name.startswith(f"nas_fusion.{room}") for name in MODULES)}
            assert rooms - {parts[1]} <= BELOW[parts[1]]
    else:
        spaces = {name.split(".")[1] for name in FILES[module] if name.startswith("search_spaces.")}
        assert spaces <= {parts[1]} if len(parts) > 1 else not spaces


@pytest.mark.parametrize("module", sorted(FILES))
def test_torch_and_monai_stay_in_their_rooms(module: str) -> None:
    libraries = {name.split(".")[0] for name in FILES[module]}
    if module.split(".")[1:2] and module.split(".")[0] == "nas_fusion" and module.split(".")[1] in LIGHT:
        assert "torch" not in libraries
    if "monai" in libraries:
        assert module.startswith(MONAI_ROOMS)


def test_no_import_cycles() -> None:
    graph = {name: {other for other in FILES if other in seen and other != name} for name, seen in FILES.items()}
    # A package's `__init__` re-exports its files: a file that imports a sibling through it closes a cycle.
    visiting: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in visiting, " -> ".join([*visiting[visiting.index(name) :], name])
        if name in done:
            return
        visiting.append(name)
        for other in graph[name]:
            visit(other)
        visiting.pop()
        done.add(name)

    for name in graph:
        visit(name)


@pytest.mark.parametrize(
    "statement",
    [
        "import nas_fusion",
        "from nas_fusion import SFSASampler, BeamSampler, ExhaustiveSampler, SearchSpace, parent_of",
        "from nas_fusion import Landscape",
    ],
)
def test_light_imports_load_neither_torch_nor_monai(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(sorted({{'torch', 'monai'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import nas_fusion

    for name in nas_fusion.__all__:
        assert getattr(nas_fusion, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        nas_fusion.nonsense  # noqa: B018
