"""Checks of a space against a cohort's modalities, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from nas_fusion import FusionModule, Stream, build_backbone
from nas_fusion.fusion.joins import Taps, joins
from nas_fusion.spelling import did_you_mean
from search_spaces.fusion_points.layout import Layout
from search_spaces.fusion_points.meetings import Choice

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs


_AXES = {"image": (2, 3, 4), "vector": (1,), "matrix": (2,), "covariance": (2,)}  # of a subject's modality, channels included


def check_cohort(inputs: Inputs) -> None:
    """Raise unless there is something to fuse and to tell apart.

    Raises:
        ValueError: If there are fewer than two modalities or two classes, or a modality has other axes than its kind.
    """
    for modality in inputs.modalities:
        if len(modality.shape) not in _AXES[modality.kind]:
            axes = " or ".join(map(str, _AXES[modality.kind]))
            rule = f"{axes} axes where the kind is {modality.kind}"
            raise ValueError(f"`inputs` must have {rule}, but got the shape {modality.shape} for {modality.name!r}.")
    if len(inputs.modalities) < 2:
        raise ValueError(f"`inputs` must have at least two modalities to fuse, but got {list(inputs.names)}.")
    if len(inputs.classes) < 2:
        raise ValueError(f"`inputs` must have at least two classes, but got {list(inputs.classes)}.")


def check_modalities(known: Sequence[str], layout: Layout, choices: Iterable[Choice], files: Iterable[str] = ()) -> None:
    """Raise unless backbones, table, choices and files of weights name known modalities only.

    Raises:
        ValueError: If one of them names another.
    """
    _check_known("backbones", layout.own, known)
    _check_known("pretrained", files, known)
    for row in (layout.points.table or {}).values():
        _check_known("points", row, known)
    for choice in choices:
        _check_known("modules", choice.members, known)


def check_followed(layout: Layout, given: Mapping[str, Mapping[str, Any]], default: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if options say how many stages a backbone has whose stages follow the points.

    Args:
        layout: The space's.
        given: Name of a backbone to its options that were asked for.
        default: Name of a backbone to the preset's.

    Raises:
        ValueError: If they would be without effect.
    """
    for name, options in given.items():
        if layout.points.table is not None or name == layout.primary or not layout.backbone(name).follows:
            continue
        usual = build_backbone(name, **default.get(name, {})).points
        for option, value in options.items():
            if build_backbone(name, **{**default.get(name, {}), option: value}).points != usual:
                raise ValueError(f"`{option}` must go with a table or with `backbone`={name!r}, but got {value!r} without.")


def check_fit(layout: Layout, inputs: Inputs, choices: Mapping[str, Sequence[Choice]], build: Build) -> None:
    """Raise unless streams of a cohort can meet as a space says; no random number is used, and hardly any memory.

    Args:
        layout: The space's.
        inputs: Modalities and classes.
        choices: Point to what it can choose, but `none`.
        build: From a choice, a point, the streams and the taps of the point to the module.

    Raises:
        ValueError: If a backbone does not take its modality, streams pass points in opposite order, or a module cannot connect
            streams of these widths.
    """
    taps = layout.taps(inputs)
    with torch.random.fork_rng(devices=[]):
        streams = _streams(layout, inputs)
        joins(list(taps), taps, {name: list(stream.taps) for name, stream in streams.items()})
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        for point, offered in choices.items():
            for choice in offered:
                try:
                    build(choice, streams, taps[point])
                except ValueError as error:
                    raise ValueError(
                        f"`modules` must fit the streams at {point!r}, but {str(choice)!r} does not: {error}"
                    ) from None


Build = Callable[[Choice, Mapping[str, Stream], Taps], FusionModule]


def _streams(layout: Layout, inputs: Inputs) -> dict[str, Stream]:
    """Return the streams without memory; a network that looks at values, which are not there then, is built in memory."""
    try:
        with torch.device("meta"):
            return {m.name: layout.stream(m, len(inputs.classes)) for m in inputs.modalities}
    except RuntimeError:
        return {m.name: layout.stream(m, len(inputs.classes)) for m in inputs.modalities}


def _check_known(argument: str, found: Iterable[str], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"`{argument}` must name modalities among {', '.join(known)}, but got {name!r}.{hint}")
