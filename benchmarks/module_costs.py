"""What every shipped fusion module costs at each fusion point, where it is from and where it is known to help.

Run it with `python -m benchmarks.module_costs`; it writes `benchmarks/records/module_costs.json` and `.md` within seconds:
nothing is trained, operations are counted on torch's meta device.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.conditions import conditions, sentence
from nas_fusion import FusionModule, FusionNetwork, Stream, build_module, load_space, plugins
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.fusion import module_cost

RECORDS = Path(__file__).parent / "records"
NAMES = ("T1w", "FLAIR", "T2w")


class Setting(NamedTuple):
    """A network whose points are looked at.

    Attributes:
        preset: Of the space of fusion points.
        edge: Voxels along each axis of the images.
        streams: Number of modalities.
    """

    preset: str
    edge: int
    streams: int


SETTINGS = [Setting(preset, edge, n) for preset, edge in (("small", 24), ("small", 32), ("paper", 96)) for n in (2, 3)]


class Known(NamedTuple):
    """Where a module is from, and only what that paper itself reports of it.

    Attributes:
        exchanges: What streams learn of each other.
        source: The papers.
        helps: Where the source reports that it helped, with how many inputs.
    """

    exchanges: str
    source: str
    helps: str


KNOWN = {
    "mmtm": Known(
        "means over space; gates channels",
        "arXiv 1911.08670, section 3",
        "gesture recognition, audio-visual speech enhancement, action recognition from video and body joints",
    ),
    "mmtm_as_published": Known(
        "means over space; gates channels",
        "arXiv 2505.02467, section III.C",
        "T1w with FLAIR in epilepsy (best after the first stage), T1w with T2w in Alzheimer's disease (after the second)",
    ),
    "concat_conv": Known("all channels, place by place", "none: our comparison", "no source reports anything"),
    "se_gate": Known(
        "nothing: a control", "arXiv 1709.01507, section 3", "image classification (ILSVRC 2017) with one stream: not a fusion"
    ),
    "film": Known(
        "means over space; scales and shifts channels",
        "arXiv 1709.07871, section 2",
        "questions on images (CLEVR): text conditions the network of an image",
    ),
    "cross_attention": Known(
        "tokens, each with all of the others",
        "arXiv 1706.03762, 1906.00295, 2104.09224",
        "sentiment and emotion from text, video and sound that are not aligned; driving from camera and LiDAR in simulation",
    ),
    "attention_bottleneck": Known(
        "tokens, through a few shared ones",
        "arXiv 2107.00135, section 3.3",
        "classification of video with sound (AudioSet, Epic-Kitchens, VGGSound)",
    ),
    "low_rank_bilinear": Known(
        "products of channels, place by place",
        "arXiv 1610.04325, sections 2 and 3",
        "questions on images (VQA): text with image",
    ),
    "channel_spatial": Known(
        "means and maxima over space and over channels; gates channels and places",
        "arXiv 1807.06521, section 3",
        "image classification and detection (ImageNet, COCO, VOC 2007) with one stream: not a fusion; ours joins streams",
    ),
    "channel_exchange": Known(
        "whole channels, where a stream's own are not needed",
        "arXiv 2011.05005, section 3",
        "segmentation of colour images with depth; translation between image domains",
    ),
}


class Place(NamedTuple):
    """A fusion point of a network: channels and spatial sizes of the streams."""

    point: str
    channels: list[int]
    sizes: list[tuple[int, ...]]


def baseline(setting: Setting) -> tuple[FusionNetwork, dict[str, torch.Tensor]]:
    """Return a setting's network without any module, and an input of one subject, both on torch's meta device."""
    shape = (1, *[setting.edge] * 3)
    inputs = Inputs(tuple(Modality(name, "image", shape) for name in NAMES[: setting.streams]), ("a", "b"))
    space = load_space("fusion-points", preset=setting.preset)
    with torch.device("meta"):
        network = cast(FusionNetwork, space.build(space.baseline, inputs).eval())
        return network, {name: torch.empty(1, *shape) for name in inputs.names}


def places(network: FusionNetwork, inputs: dict[str, torch.Tensor]) -> list[Place]:
    """Return the fusion points of a network whose streams are equally deep."""
    streams = [stream for stream in network.streams.values() if isinstance(stream, Stream)]
    features, after, found = [inputs[name] for name in network.modalities], None, []
    for point in streams[0].taps:
        with torch.no_grad():
            features = [stream.advance(x, after, point) for stream, x in zip(streams, features, strict=True)]
        found.append(Place(point, [x.shape[1] for x in features], [tuple(x.shape[2:]) for x in features]))
        after = point
    return found


def kept_bytes(module: FusionModule, place: Place) -> int:
    """Return how much memory a forward pass of one subject keeps for the backward pass, in bytes, without the features."""
    storages: dict[int, torch.UntypedStorage] = {}
    with torch.device("meta"):
        features = [torch.empty(1, c, *s).requires_grad_() for c, s in zip(place.channels, place.sizes, strict=True)]
    module = module.to("meta")

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        module(features)
    given = {x.untyped_storage()._cdata for x in (*features, *module.parameters(), *module.buffers())}
    return sum(storage.nbytes() for key, storage in storages.items() if key not in given)


def measure(setting: Setting, modules: list[str]) -> dict[str, Any]:
    """Return what is recorded of one setting."""
    network, inputs = baseline(setting)
    found, parameters = places(network, inputs), sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(inputs)
    rows: dict[str, dict[str, dict[str, int]]] = {}
    for name in modules:
        rows[name] = {}
        for place in found:
            module = build_module(name, place.channels)
            cost = module_cost(module, place.sizes)
            rows[name][place.point] = {**cost._asdict(), "kept_bytes": kept_bytes(module, place)}
    where = {place.point: {"channels": place.channels[0], "size": list(place.sizes[0])} for place in found}
    of_network = {"network_parameters": parameters, "network_flops": int(counter.get_total_flops())}
    return {**setting._asdict(), "points": where, **of_network, "modules": rows}


def short(number: float) -> str:
    """Return a number with three digits and a prefix, such as `3.62 G`."""
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{prefix}"
    return f"{number:.0f}"


def table(result: dict[str, Any]) -> str:
    """Return one setting as a Markdown table: parameters, operations and bytes, a cell a point."""
    points = result["points"]
    heads = [f"{p} ({w['channels']} channels, {'×'.join(map(str, w['size']))})" for p, w in points.items()]
    lines = ["| module | " + " | ".join(heads) + " |", "| --- " * (1 + len(heads)) + "|"]
    for name, row in result["modules"].items():
        cells = [" · ".join(short(c[key]) for key in ("parameters", "flops", "kept_bytes")) for c in row.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(record: dict[str, Any]) -> str:
    """Return the whole record."""
    known = ["| module | what streams exchange | source | where the source reports that it helps |", "| --- " * 4 + "|"]
    known += [f"| {name} | " + " | ".join(KNOWN[name]) + " |" for name in record["known"]]
    parts = [
        "# What fusion modules cost\n",
        "Every shipped module with its default options. The last column says only what the cited papers report; no one has\n"
        "shown that it carries over to another task: that is what a comparison of modules is for.\n",
        "\n".join(known) + "\n",
        "Each cell: parameters · floating-point operations of a forward pass of one subject (those of matrix products,\n"
        "convolutions and attention; a multiplication with an addition counts two; element-wise operations do not count) ·\n"
        "bytes that the forward pass of one subject keeps for the backward pass in single precision, besides the streams'\n"
        "own features. Attention pools maps to at most 4 tokens an axis: what it keeps does not grow with the map.\n",
        f"{sentence(record['conditions'])} Counted, not timed. Made by `python -m benchmarks.module_costs`.\n",
    ]
    for result in record["settings"]:
        title = f"## {result['preset']}, {result['edge']}^3 voxels, {result['streams']} streams"
        whole = f"{short(result['network_parameters'])} parameters · {short(result['network_flops'])} operations"
        parts.append(f"{title}\n\nThe network without modules: {whole}.\n\n{table(result)}\n")
    return "\n".join(parts)


def main() -> None:
    """Count everything and write the record."""
    modules = [name for name in KNOWN if name in plugins.names("modules")]
    results = [measure(setting, modules) for setting in SETTINGS]
    record = {"conditions": conditions(), "known": modules, "settings": results}
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / "module_costs.json").write_text(json.dumps(record, indent=1) + "\n")
    (RECORDS / "module_costs.md").write_text(page(record))
    print(page(record))


if __name__ == "__main__":
    main()
