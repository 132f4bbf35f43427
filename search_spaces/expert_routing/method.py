"""What of the method runs, beside the network and the training plans: plain data."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass

from nas_fusion import plugins
from nas_fusion.spelling import did_you_mean

_WORDS = {
    "granularity": ("node", "subject"),
    "normalise": ("after", "before"),
    "router": ("per_branch", "shared"),
    "init": ("copy", "copy_noise"),
    "stage3_trainable": ("all", "fusion_only"),
}


@dataclass(frozen=True)
class Method:
    """Routing, stages and terms of the loss; the defaults are the paper's.

    The values of alpha and beta are the defaults of the code that the authors released: the paper reports sweeps only.

    Attributes:
        granularity: Whether each `node` has gates of its own, or each `subject`.
        noise: Whether `top_k` adds noise to its logits in training.
        normalise: Whether `top_k` normalises its gates `after` or `before` the selection.
        router: `per_branch`, or one `shared` by all branches that have equal mixtures.
        gating: Name of the registered router of mixtures of which only some experts run.
        init: Whether the experts of stage 3 are a `copy` of the branch's single expert, or `copy_noise`.
        init_noise: Standard deviation of that noise over the root mean square of each tensor's entries, above 0.
        stage1: Whether the encoders are trained alone first.
        stage2: Whether the static model is trained before the mixtures.
        contrastive: Whether stage 2 aligns the modalities of a subject.
        distillation: Whether stage 2 distils from stage 1's encoders.
        disentanglement: Whether stage 3 sets the branches apart.
        balance: Whether stage 3 balances the experts.
        alpha: Weight of balance in [0, 1]; that of disentanglement is 1 - alpha.
        beta: Weight of contrastive alignment and of distillation, at least 0.
        stage3_trainable: `all`, or `fusion_only`: encoders and projections stay as they are.

    Raises:
        ValueError: If a value is unknown or out of its range.
    """

    granularity: str = "node"
    noise: bool = True
    normalise: str = "after"
    router: str = "per_branch"
    gating: str = "top_k"
    init: str = "copy"
    init_noise: float = 0.1
    stage1: bool = True
    stage2: bool = True
    contrastive: bool = True
    distillation: bool = True
    disentanglement: bool = True
    balance: bool = True
    alpha: float = 0.6
    beta: float = 0.3
    stage3_trainable: str = "all"

    def __post_init__(self) -> None:
        for name, known in {**_WORDS, "gating": plugins.names("routers")}.items():
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(value, known)
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, but got {value!r}.{hint}")
        if self.gating == "dense":
            raise ValueError("`gating` must select some experts, but got 'dense': choose mixtures such as e3dense instead.")
        takes = inspect.signature(plugins.load("routers", self.gating)).parameters.values()
        if not any(option.name == "k" or option.kind is option.VAR_KEYWORD for option in takes):
            raise ValueError(
                f"`gating` must be a router with an option k, how many experts are selected, but {self.gating!r} has none."
            )
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"`alpha` must be in [0, 1], but got {self.alpha!r}.")
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"`beta` must be a finite number of at least 0, but got {self.beta!r}.")
        if not 0 < self.init_noise < math.inf:
            raise ValueError(f"`init_noise` must be a finite number above 0, but got {self.init_noise!r}.")
