"""The suite of every router, and what is this router's own."""

from __future__ import annotations

import pytest
import torch
from cosine_router import CosineRouter

from nas_fusion.testing import RouterTestCase


class TestCosineRouter(RouterTestCase):
    ks = (1, 2, 3)

    @pytest.fixture
    def router(self) -> type[CosineRouter]:
        return CosineRouter


def test_only_the_direction_of_a_token_counts() -> None:
    router = CosineRouter(6, 4)
    tokens = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(router(tokens).gates, router(7 * tokens).gates)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"width": 0}, "`width` must be at least 1, but got 0"),
        ({"temperature": 0.0}, "`temperature` must be above 0, but got 0.0"),
    ],
)
def test_options_out_of_their_range(option: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CosineRouter(6, 4, **option)
