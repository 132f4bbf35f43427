"""The loss that keeps a mixture's experts evenly used."""

from __future__ import annotations

import torch

from nas_fusion.routing.router import Routing


def balance_loss(routing: Routing) -> torch.Tensor:
    r"""Return the squared coefficient of variation of the experts' importance plus that of their load: a scalar, at least 0.

    .. math:: L = \mathrm{CV}(\mathrm{importance})^2 + \mathrm{CV}(\mathrm{load})^2, \quad
        \mathrm{CV}(v)^2 = \frac{\frac{1}{n} \sum_i (v_i - \bar v)^2}{\bar v^2}

    It is 0 if all experts are used equally and :math:`2 (n - 1)` if one of n is used alone. The weights that the paper gives
    the two terms are equal (0.1 each in its language models).

    References:
        - Shazeer et al., Outrageously large neural networks, ICLR 2017, `arXiv 1701.06538 <https://arxiv.org/abs/1701.06538>`_,
          section 4, eq. 6 and 7, and appendix A, eq. 11.
    """
    return _squared_variation(routing.importance) + _squared_variation(routing.load)


def _squared_variation(used: torch.Tensor) -> torch.Tensor:
    return used.var(correction=0) / used.mean().square()
