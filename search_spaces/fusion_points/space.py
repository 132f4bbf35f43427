"""The search space of fusion points: where the streams of which modalities exchange information, and by which fusion module."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nas_fusion import FusionModule, FusionNetwork, SearchSpace, Stage, Stream, TrainingPlan, build_backbone
from nas_fusion.fusion import GatedFusion, GatedNetwork
from nas_fusion.fusion.joins import Taps
from nas_fusion.spelling import did_you_mean
from search_spaces.fusion_points.checks import check_cohort, check_fit, check_followed, check_modalities
from search_spaces.fusion_points.layout import PERCEPTRON, Layout
from search_spaces.fusion_points.losses import fusion_loss
from search_spaces.fusion_points.meetings import Choice, build_meeting, check_meet, choices_of, read_choice, read_choices
from search_spaces.fusion_points.options import changed, sort_options
from search_spaces.fusion_points.points import Table, names, read_points
from search_spaces.fusion_points.presets import PRESETS
from search_spaces.fusion_points.references import references
from search_spaces.fusion_points.weights import EVERY, Weights, prefix_of, read_files
from search_spaces.fusion_points.words import words_of

if TYPE_CHECKING:
    from nas_fusion import Reference
    from nas_fusion.cohorts import Inputs


class FusionPointSpace(SearchSpace):
    """One parameter a fusion point, each with the choices `none` and the names of fusion modules.

    Every modality has a stream of its own. A configuration says after which stages the streams exchange information, and by
    which module; with none they meet in the mean of their logits. The space of
    `arXiv 2505.02467 <https://arxiv.org/abs/2505.02467>`_, section III, for two or more modalities of any kind.

    Example:
        >>> space = FusionPointSpace(modules=("mmtm",), ratio=8)
        >>> space.size
        16
        >>> space.complete({"layer3": "mmtm"}).to_json()
        '{"layer1": "none", "layer2": "none", "layer3": "mmtm", "layer4": "none"}'

        Which of three modalities meet where:

        >>> space = FusionPointSpace(points="layer1,layer4", meet="pairs", modalities=("T1w", "FLAIR", "T2w"))
        >>> space.parameters["layer1"]
        ('none', 'mmtm', 'mmtm(T1w,FLAIR)', 'mmtm(T1w,T2w)', 'mmtm(FLAIR,T2w)')

        A volume that meets a table at different depths:

        >>> table = {"early": {"T1w": "layer1", "clinical": "layer4"}, "late": {"T1w": "layer4", "clinical": "layer4"}}
        >>> list(FusionPointSpace(points=table).parameters)
        ['early', 'late']

    Args:
        points: Where a module may sit. Names: places in the backbone, after its stages (`None` for these; `layer1` to `layer4`
            of a residual network) or inside them, such as `layer2_block1`; streams of other backbones join at the stage of the
            same number, a perceptron and a graph network have a stage for each. Or a table: point to modality to tap, which may
            join different depths, and some of the modalities only.
        modules: Names of registered fusion modules, each perhaps with the modalities that meet, `mmtm(T1w,FLAIR)`; the others
            pass by.
        preset: `small` (narrow networks, trained in seconds) or `paper` (MONAI's ResNet-18 at full width; the training plan is
            ours, the paper's is not published).
        backbone: Name of the backbone of images and matrices, `None` for the preset's.
        backbones: Modality to the name of another backbone. Vectors have a `perceptron` unless something else is said.
        meet: Who meets in a module that names no modalities: `all` that are joined; `pairs`, also every two of them; `subsets`,
            also every two or more.
        modalities: Names of the cohort's modalities, in its order. Needed only where `meet` is not `all` and there is no table.
        pretrained: A file of weights that the streams of the primary backbone start from, in the layout of MedicalNet or a
            plain state dict (`.pth`, `.safetensors`), or modality to file. What fits by name and shape is used; a parent's
            weights go before it.
        **options: Whatever differs from the preset: options of the backbones (`width`, `stem_stride`, `hidden`, ...), of
            `TrainingPlan` (`epochs`, `learning_rate`, ...), and of the modules (`ratio`, `gate`, `init`).

    Raises:
        ValueError: If a point, a module, a backbone, the preset or an option is unknown or out of its range.
    """

    name = "fusion-points"
    inherit = "parent"
    cohort = "simulated-mri"
    takes_plugins = MappingProxyType({"modules": "modules", "backbone": "backbones", "backbones": "backbones"})
    files = ("pretrained",)

    def __init__(
        self,
        points: Sequence[str] | str | Table | None = None,
        modules: Sequence[str] | str = ("mmtm",),
        preset: str = "small",
        *,
        backbone: str | None = None,
        backbones: Mapping[str, str] | None = None,
        meet: str = "all",
        modalities: Sequence[str] | str | None = None,
        pretrained: str | Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        default = PRESETS[_check_preset(preset)]
        self.preset, self.meet = preset, check_meet(meet)
        self.modalities = None if modalities is None else names("modalities", modalities)
        asked = read_choices(names("modules", modules))
        self.modules = tuple(map(str, asked))
        primary, own = default.backbone if backbone is None else backbone, _words("backbones", backbones)
        given = sort_options(options, [choice.module for choice in asked], [primary, PERCEPTRON, *own.values()])
        made_of = {name: {**default.backbones.get(name, {}), **changes} for name, changes in given.backbones.items()}
        self.module_options, self.plan = given.modules, changed(default.plan, given.plan)
        self.layout = Layout(read_points(points, build_backbone(primary, **made_of[primary])), primary, own, made_of)
        check_followed(self.layout, given.backbones, default.backbones)
        self.weights = Weights(self.layout, read_files(pretrained))
        if self.modalities is not None:
            check_modalities(self.modalities, self.layout, asked, self._own_files)
        self._choices = {point: self._offered(point, asked) for point in self.points}
        _check_used(asked, self._choices)
        said: dict[str, Any] = {"backbone": backbone, "backbones": own, "modalities": self.modalities}
        said |= {"meet": None if meet == "all" else meet, "pretrained": self.weights.files.get(EVERY) or self.weights.files}
        self._options = {name: value for name, value in said.items() if value} | options
        self.words = words_of(self._choices)
        self._fitting, self._noted = set[Any](), dict[Any, Any]()
        super().__init__({point: ("none", *map(str, offered)) for point, offered in self._choices.items()})

    @property
    def points(self) -> tuple[str, ...]:
        """The names of the points, in order."""
        return self.layout.points.names

    def options(self) -> dict[str, Any]:
        """Return what must be given to `load_space` to get this space again: JSON-compatible keyword arguments."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in self._options.items()}
        table = self.layout.points.table
        points = list(self.points) if table is None else {point: dict(row) for point, row in table.items()}
        return {"points": points, "modules": list(self.modules), "preset": self.preset, **own}

    def meaning(self) -> dict[str, Any]:
        """Return what keys depend on beside options: digests of pretrained weights, and the order of a table's points.

        Points at the same tap are passed in the order of the table, which a digest of the table alone would not tell.

        Raises:
            ValueError: If a file of weights cannot be read.
        """
        found: dict[str, Any] = {} if self.layout.points.table is None else {"order": list(self.points)}
        return found | ({"pretrained": self.weights.meaning()} if self.weights.files else {})

    def notes(self, inputs: Inputs) -> dict[str, Any]:
        """Return what of the pretrained weights was used, and why the rest was not; nothing where there are none.

        Raises:
            ValueError: If a file cannot be read, or nothing in it fits.
        """
        if not self.weights.files:
            return {}
        if inputs not in self._noted:
            self.check_inputs(inputs)
            self._noted[inputs] = self.weights.reports(inputs)
        reports = self._noted[inputs]
        sentences = [f"{name}: {report}" for name, report in reports.items()]
        return {"pretrained": {name: json.loads(report.to_json()) for name, report in reports.items()}, "sentences": sentences}

    def uses(self, configuration: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins of a configuration's model: the space, the modules of its active points, and the backbones."""
        modules = dict.fromkeys(read_choice(choice).module for choice in self.active(configuration).values())
        backbones = dict.fromkeys((self.layout.primary, *self.layout.own.values()))
        return {**super().uses(configuration), "modules": tuple(modules), "backbones": tuple(backbones)}

    @classmethod
    def needs_modalities(cls, options: Mapping[str, Any]) -> bool:
        """Return whether choices name modalities that are not known yet: those of pairs and subsets without a table."""
        known = "modalities" in options or isinstance(options.get("points"), Mapping)
        return options.get("meet", "all") != "all" and not known

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> FusionNetwork:
        """Return the freshly initialised network of a configuration, drawn from torch's global generator.

        Raises:
            ValueError: If it is not a configuration of this space, or the cohort does not fit: see `check_inputs`.
        """
        self.check(configuration)
        self.check_inputs(inputs)
        streams, taps = self._streams(inputs), self.layout.taps(inputs)
        chosen = {point: read_choice(choice) for point, choice in self.active(configuration).items()}
        modules = {point: self._module(choice, streams, taps[point]) for point, choice in chosen.items()}
        return FusionNetwork(streams, modules, taps=taps)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the one training stage of a configuration: all streams and modules together.

        Raises:
            ValueError: As `build`, or if the flips that were asked for are no axes of every modality.
        """
        self.check(configuration)
        self.check_inputs(inputs)
        canonical = self.canonical(configuration)
        model = partial(self.build, canonical, inputs)
        return [Stage("joint", self.plan_for(inputs), model, canonical, loss=fusion_loss, **self._starting(inputs))]

    def supernet(self, inputs: Inputs) -> Stage:
        """Return the stage that trains the streams with every module of every point at once, each behind a gate."""
        self.check_inputs(inputs)
        model = partial(self._supernet, inputs)
        return Stage("supernet", self.plan_for(inputs), model, self.baseline, loss=fusion_loss, **self._starting(inputs))

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        """Return the comparison arms: each modality alone, late fusion, both readings of brute-force ensemble, early fusion."""
        self.check_inputs(inputs)
        return references(self, inputs)

    def plan_for(self, inputs: Inputs) -> TrainingPlan:
        """Return the training plan for a cohort: the preset's flips are left out where they would make no sense.

        That is where a modality is not an image of at least two spatial axes: a signal must not run backwards, and the rows of
        a matrix are no places. Flips that were asked for are left to the worker to check.
        """
        images = all(modality.kind == "image" and modality.spatial_dims >= 2 for modality in inputs.modalities)
        return self.plan if images or "flips" in self._options else replace(self.plan, flips=())

    def check_inputs(self, inputs: Inputs) -> None:
        """Raise unless the streams of a cohort can meet as the space says. What fits is looked at once.

        Raises:
            ValueError: If there are fewer than two modalities or two classes; something names a modality that the cohort lacks;
                a backbone does not take its modality; streams pass points in opposite order; or a module cannot connect streams
                of these widths.
        """
        if inputs in self._fitting:
            return
        check_cohort(inputs)
        if self.modalities is not None and self.modalities != inputs.names:
            own, found = ", ".join(inputs.names), ", ".join(self.modalities)
            raise ValueError(f"`modalities` must be those of the cohort in its order, {own}, but got {found}.")
        every = {choice for offered in self._choices.values() for choice in offered}
        check_modalities(inputs.names, self.layout, sorted(every), self._own_files)
        check_fit(self.layout, inputs, self._choices, self._module)
        self._fitting.add(inputs)

    @property
    def _own_files(self) -> list[str]:
        """Modalities that have a file of weights of their own."""
        return [name for name in self.weights.files if name != EVERY]

    def _starting(self, inputs: Inputs) -> dict[str, Any]:
        """Return what a stage of all streams starts from besides a parent's weights, as fields of it."""
        start = self.weights.start({m: prefix_of(m) for m in inputs.modalities}, len(inputs.classes))
        return {} if start is None else {"start": start, "inherits": True}

    def _offered(self, point: str, asked: Sequence[Choice]) -> tuple[Choice, ...]:
        """Return what a point can choose."""
        row = self.layout.points.joined(point)
        known = self.modalities if row is None else tuple(name for name in self.modalities or row if name in row)
        return choices_of(asked, self.meet, known)

    def _supernet(self, inputs: Inputs) -> GatedNetwork:
        streams, taps = self._streams(inputs), self.layout.taps(inputs)
        gated = {
            point: GatedFusion({str(choice): self._module(choice, streams, taps[point]) for choice in offered})
            for point, offered in self._choices.items()
        }
        return GatedNetwork(streams, gated, taps=taps)

    def _streams(self, inputs: Inputs) -> dict[str, Stream]:
        return {modality.name: self.layout.stream(modality, len(inputs.classes)) for modality in inputs.modalities}

    def _module(self, choice: Choice, streams: Mapping[str, Stream], taps: Taps) -> FusionModule:
        channels = {name: streams[name].taps[tap].channels for name, tap in taps.items()}
        spatial_dims = max(streams[name].spatial_dims for name in taps)
        return build_meeting(choice, channels, spatial_dims, self.module_options[choice.module])


def _check_preset(preset: str) -> str:
    if preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, but got {preset!r}.{did_you_mean(preset, PRESETS)}")
    return preset


def _check_used(asked: Sequence[Choice], offered: Mapping[str, Sequence[Choice]]) -> None:
    """Raise unless every point can choose something, and everything that was asked for can be chosen somewhere."""
    for point, choices in offered.items():
        if not choices:
            raise ValueError(f"`modules` must let some who are joined at {point!r} meet, but got {list(map(str, asked))}.")
    for choice in asked:
        if not any(choice in choices for choices in offered.values()):
            raise ValueError(f"`modules` must let modalities meet that some point joins, but got {str(choice)!r}.")


def _words(argument: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """Return a mapping of words to words, an empty one for none."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(word, str) and word for pair in given.items() for word in pair):
        raise ValueError(f"`{argument}` must map modalities to names, but got {given!r}.")
    return dict(given)
