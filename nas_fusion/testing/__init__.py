"""Conformance suites for what others add: a subclass with one fixture earns all tests, as in `optuna.testing`.

Example:
    A module of one's own, in a file that pytest collects::

        from nas_fusion.testing import FreshIdentityTestCase, FusionModuleTestCase

        class TestMyModule(FusionModuleTestCase, FreshIdentityTestCase):
            @pytest.fixture
            def module(self):
                return MyModule
"""

import pytest

pytest.register_assert_rewrite(
    "nas_fusion.testing.pytest_backbones",
    "nas_fusion.testing.pytest_cohorts",
    "nas_fusion.testing.pytest_modules",
    "nas_fusion.testing.pytest_routers",
    "nas_fusion.testing.pytest_spaces",
    "nas_fusion.testing.pytest_supernets",
)

from nas_fusion.testing.pytest_backbones import BackboneTestCase  # noqa: E402
from nas_fusion.testing.pytest_cohorts import CohortTestCase  # noqa: E402
from nas_fusion.testing.pytest_modules import FreshIdentityTestCase, FusionModuleTestCase  # noqa: E402
from nas_fusion.testing.pytest_routers import RouterTestCase  # noqa: E402
from nas_fusion.testing.pytest_spaces import InheritingSpaceTestCase, SearchSpaceTestCase, TrainableSpaceTestCase  # noqa: E402
from nas_fusion.testing.pytest_supernets import SupernetSpaceTestCase  # noqa: E402

__all__ = [
    "BackboneTestCase",
    "CohortTestCase",
    "FreshIdentityTestCase",
    "FusionModuleTestCase",
    "InheritingSpaceTestCase",
    "RouterTestCase",
    "SearchSpaceTestCase",
    "SupernetSpaceTestCase",
    "TrainableSpaceTestCase",
]
