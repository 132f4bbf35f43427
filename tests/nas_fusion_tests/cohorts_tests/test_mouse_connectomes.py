from __future__ import annotations

from typing import Any

import pytest
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.mouse_connectomes import PACKAGE, mouse_connectomes
from nas_fusion.testing import CohortTestCase
from nas_fusion.testing.pytest_cohorts import CohortFactory
from tests.nas_fusion_tests.cohorts_tests.installed import needs

READ = needs(PACKAGE)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return mouse_connectomes(counts="raw")


@READ
def test_connectomes_are_symmetric_counts(cohort: Cohort) -> None:
    matrices = cohort.modalities["SC"]
    assert tuple(matrices.shape) == (32, 332, 332) and torch.equal(matrices, matrices.mT)
    assert float(matrices.diagonal(dim1=1, dim2=2).abs().max()) == 0 and float(matrices.max()) == 161176
    assert torch.equal(matrices, matrices.round()) and bool((matrices.sum(dim=2) > 0).all())
    assert matrices[0, 0, 1:5].tolist() == [3735, 1060, 241, 2842]  # the first lines of the first list of edges


@READ
def test_logarithms_are_those_of_the_counts(cohort: Cohort) -> None:
    logarithms = mouse_connectomes(modalities="SC").modalities["SC"]
    torch.testing.assert_close(logarithms, cohort.modalities["SC"].log1p())


@READ
def test_the_exterior_is_no_region(cohort: Cohort) -> None:
    assert tuple(cohort.modalities["regions"].shape) == (32, 332 * 8)
    volumes = mouse_connectomes(modalities="regions", measures="volume_mm3").modalities["regions"]
    assert tuple(volumes.shape) == (32, 332)
    torch.testing.assert_close(cohort.modalities["regions"].reshape(32, 332, 8)[:, :, 0], volumes)


@READ
@pytest.mark.parametrize(("label", "classes", "each"), [("strain-sex", 8, 4), ("strain", 4, 8), ("sex", 2, 16)])
def test_labels_are_balanced_in_every_part(label: str, classes: int, each: int) -> None:
    found = mouse_connectomes(modalities="regions", label=label)
    assert torch.bincount(found.labels).tolist() == [each] * classes and found.splits is not None
    for part in (found.splits.test, found.splits.folds[0].validation, found.splits.folds[0].train):
        assert len(set(torch.bincount(found.labels[found.positions(part)], minlength=classes).tolist())) == 1


@READ
def test_both_sexes_of_every_strain_have_their_names(cohort: Cohort) -> None:
    assert cohort.classes[:3] == ("B6 female", "B6 male", "BTBR female")
    assert cohort.classes[int(cohort.labels[0])] == "DBA2 male" and cohort.subjects[0] == "sub-54776"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"modalities": "FC"}, "`modalities` must be different ones of SC, regions, but got 'FC'"),
        ({"label": "age"}, "`label` must be one of strain-sex, strain, sex, but got 'age'"),
        ({"counts": "log"}, "`counts` must be one of log1p, raw, but got 'log'"),
        ({"measures": "voxels"}, "`measures` must be different ones of volume_mm3, adc, .*, but got 'voxels'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        mouse_connectomes(**options)


@READ
class TestMouseConnectomes(CohortTestCase):
    options = {"modalities": "regions"}  # noqa: RUF012
    others = ({"label": "sex"}, {"split_seed": 1}, {"measures": "fa,rd"})

    @pytest.fixture
    def cohort(self) -> CohortFactory:
        return mouse_connectomes
