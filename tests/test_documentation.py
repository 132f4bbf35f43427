"""The examples in the documentation do what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nas_fusion import FusionModule, Router, build_module, build_router
from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase, RouterTestCase

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "how-to"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_objective_selects_the_best_single_point() -> None:
    result = subprocess.run([sys.executable, str(EXAMPLES / "own_objective.py")], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert lines[0] == "trial 0: [] grown from None"
    assert lines[1] == "trial 1: ['layer1'] grown from []"
    assert lines[-1].startswith("selected:") and "'layer3': 'mmtm'" in lines[-1] and lines[-1].endswith("after 8 trials")
    assert lines[-1].count("mmtm") == 1


class TestOwnModule(FusionModuleTestCase, FreshIdentityTestCase):
    @pytest.fixture
    def module(self) -> type[FusionModule]:
        return load(EXAMPLES / "own_module.py").MeanShift  # type: ignore[no-any-return]

    def test_is_built_by_its_name(self, module: type[FusionModule]) -> None:
        assert type(build_module("mean_shift", [4, 4])).__name__ == module.__name__


class TestOwnRouter(RouterTestCase):
    @pytest.fixture
    def router(self) -> type[Router]:
        return load(EXAMPLES / "own_router.py").Prototypes  # type: ignore[no-any-return]

    def test_is_built_by_its_name(self, router: type[Router]) -> None:
        assert type(build_router("prototypes", 4, 2)).__name__ == router.__name__


def test_readme_shows_the_module_of_the_how_to() -> None:
    code = (EXAMPLES / "own_module.py").read_text().split('"""', 2)[2].strip()
    assert code in (ROOT / "README.md").read_text()
