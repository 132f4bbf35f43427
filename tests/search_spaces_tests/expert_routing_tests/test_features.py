from __future__ import annotations

import numpy as np
import pytest
import torch
from nilearn.connectome import ConnectivityMeasure
from scipy.stats import rankdata
from sklearn.covariance import EmpiricalCovariance

from nas_fusion.cohorts import Modality
from search_spaces.expert_routing.features import RegionFeatures
from search_spaces.expert_routing.network import ModelOptions
from search_spaces.expert_routing.tangent import geometric_mean, project, whitening_of
from search_spaces.expert_routing.transforms import transform

from .connectomes import functional, structural


def test_transforms_are_their_formulas() -> None:
    counts, correlation = structural(3, 9), functional(3, 9)
    assert torch.equal(transform(counts, "raw"), counts)
    np.testing.assert_allclose(transform(counts, "log1p"), np.log1p(counts.numpy()), rtol=1e-6)
    wanted = np.arctanh(np.where(np.eye(9), 0, correlation.double().numpy()))
    np.testing.assert_allclose(transform(correlation, "fisher"), wanted, atol=2e-6)


def test_ranks_are_mid_ranks_of_the_upper_triangle() -> None:
    matrices = structural(4, 9)
    upper = np.triu_indices(9, 1)
    for matrix, found in zip(matrices.numpy(), transform(matrices, "rank").numpy(), strict=True):
        assert len(np.unique(matrix[upper])) < len(matrix[upper])  # ties
        np.testing.assert_allclose(found[upper], rankdata(matrix[upper]) / len(matrix[upper]), rtol=1e-6)
        np.testing.assert_array_equal(found, found.T)
        assert not found.diagonal().any()


def test_perfect_correlations_stay_finite() -> None:
    assert torch.isfinite(transform(torch.ones(1, 3, 3), "fisher")).all()


def test_unknown_transform_raises() -> None:
    with pytest.raises(ValueError, match="`how` must be one of raw, log1p, rank, fisher, but got 'z'"):
        transform(torch.ones(1, 2, 2), "z")


def series(subjects: int = 12, regions: int = 7) -> list[np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(3)
    return [rng.normal(size=(60, regions)) @ (np.eye(regions) + 0.2 * rng.normal(size=(regions,) * 2)) for _ in range(subjects)]


def test_tangent_space_is_nilearns() -> None:
    given = series()
    estimator = ConnectivityMeasure(kind="tangent", cov_estimator=EmpiricalCovariance(), standardize=False)
    wanted = estimator.fit(given[:8]).transform(given)
    matrices = torch.tensor(np.stack([np.cov(one.T, bias=True) for one in given]))
    mean = geometric_mean(matrices[:8])
    np.testing.assert_allclose(mean, estimator.mean_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(project(matrices, whitening_of(mean)), wanted, atol=1e-5)


def test_geometric_mean_of_commuting_matrices_is_that_of_their_eigenvalues() -> None:
    values = torch.tensor([[1.0, 4.0], [9.0, 1.0], [3.0, 2.0]])
    torch.testing.assert_close(geometric_mean(torch.diag_embed(values)), torch.diag(values.double().log().mean(0).exp()))


def test_rows_are_standardised_by_the_training_subjects_entry_by_entry() -> None:
    train, other = structural(20, 6, seed=1), structural(5, 6, seed=2)
    module = RegionFeatures(Modality("SC", "matrix", (6, 6)), ModelOptions(sc_transform="log1p"))
    module.prepare({"SC": train})
    logs = np.log1p(train.numpy())
    spread = logs.std(0)
    wanted = (np.log1p(other.numpy()) - logs.mean(0)) / np.where(spread > 0, spread, np.inf)
    np.testing.assert_allclose(module({"SC": other}), wanted, atol=1e-5)
    assert not module({"SC": other}).diagonal(dim1=1, dim2=2).any()  # never varies


def test_one_scale_a_modality_lets_entries_that_vary_more_count_more() -> None:
    train, other = structural(20, 6, seed=1), structural(5, 6, seed=2)
    options = ModelOptions(sc_transform="log1p", standardise="modality", measures=("degree",))
    module = RegionFeatures(Modality("SC", "matrix", (6, 6)), options)
    module.prepare({"SC": train})
    logs = np.log1p(train.numpy())
    varies = logs.std(0) > 0
    wanted = (np.log1p(other.numpy()) - logs.mean(0)) / np.sqrt((logs.std(0) ** 2).mean()) * varies
    np.testing.assert_allclose(module({"SC": other})[:, :, :6], wanted, atol=1e-5)
    one_by_one = RegionFeatures(Modality("SC", "matrix", (6, 6)), ModelOptions(measures=("degree",)))
    one_by_one.prepare({"SC": train})
    torch.testing.assert_close(module.scale[:, 6:], one_by_one.scale[:, 6:])  # measures have scales of their own


def test_covariances_are_seen_from_the_training_subjects() -> None:
    matrices = torch.tensor(np.stack([np.cov(one.T, bias=True) for one in series()]), dtype=torch.float32)
    module = RegionFeatures(Modality("FC", "covariance", (7, 7)), ModelOptions())
    module.prepare({"FC": matrices[:8]})
    tangent = project(matrices.double(), whitening_of(geometric_mean(matrices[:8])))
    wanted = (tangent - tangent[:8].mean(0)) / tangent[:8].std(0, correction=0)
    torch.testing.assert_close(module({"FC": matrices}), wanted.float(), atol=1e-4, rtol=1e-4)
    again = RegionFeatures(Modality("FC", "covariance", (7, 7)), ModelOptions())
    again.load_state_dict(module.state_dict())
    assert torch.equal(again({"FC": matrices}), module({"FC": matrices}))


@pytest.mark.parametrize("name", ["SC", "FC"])
def test_precomputed_features_change_nothing(name: str) -> None:
    options = ModelOptions(sc_transform="rank", fc_transform="fisher", measures=("degree", "eigenvector"))
    matrices = structural(6, 8) if name == "SC" else functional(6, 8)
    module = RegionFeatures(Modality(name, "matrix", (8, 8)), options)
    module.prepare({name: matrices})
    precomputed = options.graphs([Modality(name, "matrix", (8, 8))])({name: matrices})
    assert module({name: matrices}).shape == (6, 8, 10)
    assert torch.equal(module({name: matrices}), module({name: matrices, **precomputed}))
    assert torch.equal(module.graph({name: matrices}), module.graph(precomputed))
