"""A model that was loaded from a model directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nas_fusion.cohorts import Cohort, Modality

_BATCH = 64


class Member(nn.Module):
    """The networks of one evaluation, one a fold and training seed.

    Args:
        networks: At least one.
        needs: The one modality that they look at, `None` for any.
    """

    def __init__(self, networks: Sequence[nn.Module], needs: str | None = None) -> None:
        super().__init__()
        self.networks, self.needs = nn.ModuleList(networks), needs

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean of the networks' probabilities `(batch, classes)`, float64."""
        return torch.stack([network(inputs, present).double().softmax(1) for network in self.networks]).mean(0)


class ExportedModel(nn.Module):
    """The mean of the probabilities of one or several trained models.

    Args:
        members: The models.
        modalities: What it takes, in the order of the columns of `present`.
        classes: What it tells apart.
        facts: All that `model.json` says.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        modalities: Sequence[Modality],
        classes: Sequence[str],
        facts: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.modalities, self.classes, self.facts = tuple(modalities), tuple(classes), dict(facts)
        self.eval()

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities `(batch, classes)`, float64.

        A model that needs a modality says nothing of subjects who lack it: the mean is over those that say something, and not a
        number where none does.

        Args:
            inputs: Modality to tensor `(batch, *shape)`, prepared as the cohort that the model was trained on.
            present: Boolean `(batch, modalities)`, which modalities each subject has; `None` for all.

        Raises:
            ValueError: If a modality is missing or of another shape.
        """
        for modality in self.modalities:
            if modality.name not in inputs:
                wanted = [each.name for each in self.modalities]
                raise ValueError(f"`inputs` must hold {wanted}, but got {list(inputs)}.")
            if tuple(inputs[modality.name].shape[1:]) != modality.shape:
                found = tuple(inputs[modality.name].shape)
                raise ValueError(f"`inputs[{modality.name!r}]` must have shape (batch, *{modality.shape}), but got {found}.")
        said = torch.stack([member(inputs, present) for member in self.members])
        if present is None:
            return said.mean(0)
        names = [modality.name for modality in self.modalities]
        needed = [getattr(member, "needs", None) for member in self.members]
        speaks = torch.stack([present.any(1) if need is None else present[:, names.index(need)] for need in needed])
        return said.masked_fill(~speaks.unsqueeze(2), 0).sum(0) / speaks.sum(0).unsqueeze(1)

    @torch.inference_mode()
    def probabilities(self, cohort: Cohort) -> torch.Tensor:
        """Return the probabilities `(subjects, classes)`, float64, of a cohort's subjects, on the CPU.

        Raises:
            ValueError: If the cohort has other modalities, shapes or classes than the model was trained on.
        """
        if cohort.inputs.modalities != self.modalities or cohort.classes != self.classes:
            raise ValueError(
                f"`cohort` must have the modalities and classes that the model was trained on, {list(self.modalities)} and "
                f"{list(self.classes)}, but got {list(cohort.inputs.modalities)} and {list(cohort.classes)}."
            )
        device = next(self.parameters()).device
        said = []
        for index in torch.split(torch.arange(len(cohort)), _BATCH):
            batch = cohort.batch(index)
            inputs = {name: values.to(device) for name, values in batch.inputs.items()}
            said.append(self(inputs, batch.present.to(device)).cpu())
        return torch.cat(said)
