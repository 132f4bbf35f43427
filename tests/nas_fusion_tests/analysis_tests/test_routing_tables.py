from __future__ import annotations

import json

import numpy as np
import pytest

from nas_fusion.analysis.routing_statistics import class_test
from nas_fusion.analysis.routing_tables import (
    adaptivity_columns,
    class_tests,
    layer_columns,
    region_table,
    routing_summary,
    subject_table,
    usage_table,
)
from tests.nas_fusion_tests.analysis_tests.routing_builders import (
    adaptivity,
    evidence,
    layer,
    planted_gates,
    shared_gates,
    two_experts,
)

FIRST = two_experts(np.array([[0.0, 0.5], [1.0, 0.5], [0.25, 0.75], [1.0, 1.0]]))


def test_usage_by_expert_and_class() -> None:
    table = usage_table(evidence(layer(FIRST, "sc.0"), layer(shared_gates((0.2, 0.3, 0.5), 4, 2), "fc.0")))
    assert list(table.columns) == ["layer", "expert", "share", "chosen", "share:low", "share:high"]
    assert table[["layer", "expert"]].to_numpy().tolist()[:3] == [["sc.0", 1], ["sc.0", 2], ["fc.0", 1]]
    np.testing.assert_allclose(table["share"], [0.625, 0.375, 0.2, 0.3, 0.5])
    np.testing.assert_allclose(table["chosen"][:2], [0.875, 0.625])
    np.testing.assert_allclose(table["share:low"][:2], [0.375, 0.625])


def test_usage_by_subject_and_region() -> None:
    routing = evidence(layer(FIRST, "sc.0", parts=("SC", "FC")))
    subjects = subject_table(routing)
    assert list(subjects.columns) == ["layer", "subject", "class", "expert:1", "expert:2"]
    assert subjects.iloc[3].tolist() == ["sc.0", "sub-003", "high", 1.0, 0.0]
    regions = region_table(routing)
    assert regions.to_dict("records")[1] == {"layer": "sc.0", "part": "FC", "token": "region 2", "expert": 1, "share": 0.6875}


def test_p_values_are_corrected_for_the_layers_that_were_tested() -> None:
    varied = layer(planted_gates(20, 4, subject=0.05), "a")
    tests = class_tests(
        evidence(varied, layer(planted_gates(20, 4, subject=0.05, seed=1), "b"), layer(shared_gates((0.5, 0.5)), "c"))
    )
    assert tests["a"].p == pytest.approx(min(1.0, 2 * class_test(varied).p))
    assert np.isnan(tests["c"].p)


def test_in_numbers_for_programs() -> None:
    routing = evidence(layer(planted_gates(20, 6, region=0.05), "sc.0"), adaptivity=adaptivity(0.05, 0.02))
    found = json.loads(json.dumps(routing_summary(routing)))
    assert list(found) == ["model", "selected", "layers", "loss_rises_by"] and found["selected"] is True
    assert found["layers"][0]["layer"] == "sc.0" and sum(found["layers"][0]["shares"]) == pytest.approx(1)
    assert found["layers"][0]["variance_region"] == pytest.approx(1)
    assert found["loss_rises_by"]["another"]["mean"] == pytest.approx(0.05)


def test_layers_as_text() -> None:
    row = layer_columns(evidence(layer(shared_gates((0.5, 0.496, 0.004)), "fused.0"))).iloc[0]
    assert row["Shares of the experts"] == "50 / 50 / 0.4 %"
    assert (row["Layer"], row["Experts"], row["Usage entropy"]) == ("fused.0", "3", "0.65")
    assert row["Of its variance: region"] == row["Classes differ"] == "–"


def test_interventions_as_text() -> None:
    table = adaptivity_columns(evidence(layer(FIRST), adaptivity=adaptivity(0.05, 0.02)))
    assert table["Gates replaced by"].tolist() == ["another subject's gates", "the population mean of its region"]
    assert table["Draws"].tolist() == ["2", "1"] and table["Loss rises by (nats)"][0].startswith("+0.0500 ± 0.00")
    assert adaptivity_columns(evidence(layer(FIRST))).empty
