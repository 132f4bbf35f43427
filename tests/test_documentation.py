"""The examples in the documentation do what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nas_fusion import Backbone, EvaluationWorker, FusionModule, Router, build_module, build_router, load_cohort, load_space
from nas_fusion.testing import BackboneTestCase, FreshIdentityTestCase, FusionModuleTestCase, RouterTestCase

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


class TestOwnBackbone(BackboneTestCase):
    @pytest.fixture
    def backbone(self) -> Backbone:
        return load(EXAMPLES / "own_backbone.py").TwoPathsBackbone(width=4)  # type: ignore[no-any-return]

    def test_is_searched_by_its_name(self, backbone: Backbone) -> None:
        cohort = load_cohort("simulated-mri", shape=8, train=17, validation=8, test=0)
        space = load_space("fusion-points", backbone="two_paths", width=4, ratio=2, epochs=1, batch_size=8)
        assert list(space.parameters) == list(backbone.points)
        worker = EvaluationWorker(space, cohort, device="cpu")
        child = worker.evaluate(space.complete({"fine": "mmtm"}), lineage=(space.baseline,))
        assert child.value > 0
        assert space.uses(space.baseline)["backbones"] == ("two_paths",)
        names = set(worker.store.weights(child.key))
        assert {"streams.T1w.stages.module.fine.weight", "fusion.fine-MMTM.squeeze.weight"} <= names


class TestOwnRouter(RouterTestCase):
    @pytest.fixture
    def router(self) -> type[Router]:
        return load(EXAMPLES / "own_router.py").Prototypes  # type: ignore[no-any-return]

    def test_is_built_by_its_name(self, router: type[Router]) -> None:
        assert type(build_router("prototypes", 4, 2)).__name__ == router.__name__


def test_readme_shows_the_module_of_the_how_to() -> None:
    code = (EXAMPLES / "own_module.py").read_text().split('"""', 2)[2].strip()
    assert code in (ROOT / "README.md").read_text()
