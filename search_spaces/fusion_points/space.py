"""The search space of fusion points: after which stages of the streams which fusion module sits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from nas_fusion import FusionModule, FusionNetwork, SearchSpace, Stage, Stream, TrainingPlan, build_module
from nas_fusion.fusion import GatedFusion, GatedNetwork
from search_spaces.fusion_points.backbones import POINTS, all_points, build_stream
from search_spaces.fusion_points.options import changed, sort_options
from search_spaces.fusion_points.presets import PRESETS
from search_spaces.fusion_points.references import references

if TYPE_CHECKING:
    from nas_fusion import Reference
    from nas_fusion.cohorts import Inputs


class FusionPointSpace(SearchSpace):
    """One parameter a fusion point, each with the choices `none` and the names of fusion modules.

    Every modality has a stream of its own. A configuration says after which stages the streams exchange information, and by
    which module; with none they meet in the mean of their logits. The space of
    `arXiv 2505.02467 <https://arxiv.org/abs/2505.02467>`_, section III, for two or more modalities.

    Example:
        >>> space = FusionPointSpace(modules=("mmtm",), ratio=8)
        >>> space.size
        16
        >>> space.complete({"layer3": "mmtm"}).to_json()
        '{"layer1": "none", "layer2": "none", "layer3": "mmtm", "layer4": "none"}'

    Args:
        points: Where a module may sit: after the stages `layer1` to `layer4` (`None` for these four), and after single residual
            blocks inside a stage, such as `layer2_block1`; eight in all for `resnet18`.
        modules: Names of registered fusion modules.
        preset: `small` (narrow residual networks for 32³ volumes, trained in seconds) or `paper` (MONAI's ResNet-18 at full
            width; the training plan is ours, the paper's is not published).
        **options: Whatever differs from the preset: fields of `BackboneOptions` (`backbone`, `width`, `stem_stride`, ...),
            of `TrainingPlan` (`epochs`, `learning_rate`, ...), and options of the modules (`ratio`, `gate`, `init`).

    Raises:
        ValueError: If a point, a module, the preset or an option is unknown or out of its range.
    """

    name = "fusion-points"
    inherit = "parent"
    cohort = "simulated-mri"

    def __init__(
        self,
        points: Sequence[str] | str | None = None,
        modules: Sequence[str] | str = ("mmtm",),
        preset: str = "small",
        **options: Any,
    ) -> None:
        self.points = POINTS if points is None else _names("points", points)
        self.modules = _names("modules", modules)
        self.preset = preset
        _check_modules(self.modules)
        if preset not in PRESETS:
            close = get_close_matches(str(preset), PRESETS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, but got {preset!r}.{hint}")
        given = sort_options(options, self.modules)
        self.module_options = given.modules
        self.backbone = changed(PRESETS[preset].backbone, given.backbone)
        self.plan = changed(PRESETS[preset].plan, given.plan)
        known = all_points(self.backbone.backbone)
        _check_points(self.points, known)
        self._options = dict(options)
        super().__init__({point: ("none", *self.modules) for point in known if point in self.points})

    def options(self) -> dict[str, Any]:
        """Return what must be given to `load_space` to get this space again: JSON-compatible keyword arguments."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in self._options.items()}
        return {"points": list(self.parameters), "modules": list(self.modules), "preset": self.preset, **own}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> FusionNetwork:
        """Return the freshly initialised network of a configuration, drawn from torch's global generator.

        Raises:
            ValueError: If it is not a configuration of this space, there are fewer than two modalities, or a module cannot
                connect streams of these widths.
        """
        self.check(configuration)
        streams = self._streams(inputs)
        return FusionNetwork(streams, {p: self._module(m, p, streams) for p, m in self.active(configuration).items()})

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the one training stage of a configuration: all streams and modules together.

        Raises:
            ValueError: As `build`, or if the flips that were asked for are no axes of every modality.
        """
        self.check(configuration)
        check_inputs(inputs)
        canonical = self.canonical(configuration)
        return [Stage("joint", self.plan_for(inputs), partial(self.build, canonical, inputs), canonical)]

    def supernet(self, inputs: Inputs) -> Stage:
        """Return the stage that trains the streams with every module of every point at once, each behind a gate."""
        check_inputs(inputs)
        return Stage("supernet", self.plan_for(inputs), partial(self._supernet, inputs), self.baseline)

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        """Return the comparison arms: each modality alone, late fusion, both readings of brute-force ensemble, early fusion."""
        check_inputs(inputs)
        return references(self, inputs)

    def plan_for(self, inputs: Inputs) -> TrainingPlan:
        """Return the training plan for a cohort: the preset's flips are left out where they would make no sense.

        That is where a modality is not an image of at least two spatial axes: a signal must not run backwards, and the rows of
        a matrix are no places. Flips that were asked for are left to the worker to check.
        """
        images = all(modality.kind == "image" and modality.spatial_dims >= 2 for modality in inputs.modalities)
        return self.plan if images or "flips" in self._options else replace(self.plan, flips=())

    def _supernet(self, inputs: Inputs) -> GatedNetwork:
        streams = self._streams(inputs)
        gated = {p: GatedFusion({m: self._module(m, p, streams) for m in self.modules}) for p in self.parameters}
        return GatedNetwork(streams, gated)

    def _streams(self, inputs: Inputs) -> dict[str, Stream]:
        check_inputs(inputs)
        return {m.name: build_stream(m, len(inputs.classes), self.backbone, self.points) for m in inputs.modalities}

    def _module(self, module: str, point: str, streams: Mapping[str, Stream]) -> FusionModule:
        channels = [stream.taps[point].channels for stream in streams.values()]
        spatial_dims = max(stream.spatial_dims for stream in streams.values())
        return build_module(module, channels, spatial_dims=spatial_dims, **self.module_options[module])


def check_inputs(inputs: Inputs) -> None:
    """Raise unless there is something to fuse and to tell apart.

    Raises:
        ValueError: If there are fewer than two modalities or two classes.
    """
    if len(inputs.modalities) < 2:
        raise ValueError(f"`inputs` must have at least two modalities to fuse, but got {list(inputs.names)}.")
    if len(inputs.classes) < 2:
        raise ValueError(f"`inputs` must have at least two classes, but got {list(inputs.classes)}.")


def _names(argument: str, names: Sequence[str] | str) -> tuple[str, ...]:
    if not isinstance(names, Iterable):
        raise ValueError(f"`{argument}` must be at least one name, each once, but got {names!r}.")
    found = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else tuple(names)
    if not found or len(set(found)) < len(found) or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"`{argument}` must be at least one name, each once, but got {list(found)}.")
    return found


def _check_points(points: Sequence[str], known: Sequence[str]) -> None:
    for point in points:
        if point not in known:
            close = get_close_matches(point, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"`points` must be places in the backbone, {', '.join(known)}, but got {point!r}.{hint}")


def _check_modules(modules: Sequence[str]) -> None:
    if "none" in modules:
        raise ValueError("`modules` must name fusion modules, but got 'none', which every point can choose anyway.")
