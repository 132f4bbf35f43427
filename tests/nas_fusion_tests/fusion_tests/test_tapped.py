from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from nas_fusion.fusion import MMTM, FusionNetwork, Stream, Tap, TappedModule, find_taps
from nas_fusion.fusion.suspended import SuspendedPass


class Net(nn.Module):
    """Branches, a loop, a skip over several submodules and a functional head: no chain of stages."""

    def __init__(self, width: int = 4, channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.ModuleDict({"wide": nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)})
        self.turns = nn.ModuleList([nn.Conv2d(2 * width, 2 * width, 1) for _ in range(2)])
        self.fc = nn.Linear(2 * width, 8)
        self.out = nn.Linear(8 + width, 2)
        self.calls: list[str] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append("forward")
        early = torch.relu(self.norm(self.stem(x)))
        x = self.body["wide"](early)
        for turn in self.turns:
            x = x + turn(x).tanh() * (1 if self.training else 2)
        pooled = torch.relu(self.fc(x.mean((2, 3))))
        return self.out(torch.cat([pooled, early.amax((2, 3))], 1))


NAMES = ("norm", "body.wide", "turns.1", "fc")


def net(seed: int = 0, **options: int) -> Net:
    torch.manual_seed(seed)
    found = Net(**options)
    nn.init.normal_(found.norm.weight)
    return found


def tapped(module: nn.Module | None = None, names: object = NAMES, size: int = 8) -> TappedModule:
    return TappedModule(module or net(), names, torch.zeros(2, 1, size, size))  # type: ignore[arg-type]


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def through(stream: Stream, x: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
    """The logits of a pass that stops at every tap, where a number is added."""
    passage = stream.begin()
    for name in stream.taps:
        x = passage.advance(x, name) + shift
    return passage.advance(x, None)


def written_out(module: Net, x: torch.Tensor, shift: float) -> torch.Tensor:
    """What `through` should compute, without any suspension."""
    hooks = [module.get_submodule(name).register_forward_hook(lambda _m, _a, y: y + shift) for name in NAMES]
    logits = module(x)
    for hook in hooks:
        hook.remove()
    return logits


def test_taps_are_found_from_the_network_in_the_order_of_execution() -> None:
    expected = [Tap("norm", 4, 1.0), Tap("body.wide", 8, 2.0), Tap("turns.1", 8, 2.0), Tap("fc", 8, 8.0)]
    module = net()
    assert find_taps(module, NAMES, torch.zeros(2, 1, 8, 8)) == expected
    assert not any(submodule._forward_hooks for submodule in module.modules())
    stream = tapped()
    assert list(stream.taps.values()) == expected
    assert stream.spatial_dims == 2
    assert tapped(names={"early": "norm", "late": "fc"}).taps["late"] == Tap("late", 8, 8.0)


def test_looking_for_taps_changes_nothing() -> None:
    module = net().train()
    module.norm.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    find_taps(module, NAMES, torch.ones(2, 1, 8, 8))
    assert torch.equal(torch.rand(3), expected)
    assert module.training and not module.norm.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_untapped_network(training: bool, x: torch.Tensor) -> None:
    plain = net().train(training)
    stream = tapped().train(training)
    assert [n.removeprefix("stages.module.") for n in stream.state_dict()] == list(plain.state_dict())
    stream.stages["module"].calls.clear()
    for run in (stream, lambda batch: through(stream, batch), lambda batch: stream.advance(batch, None, None)):
        for given in (plain, stream):
            given.zero_grad()
        expected, found = plain(x), run(x)
        assert torch.equal(found, expected)
        expected.square().sum().backward()
        found.square().sum().backward()
        assert all(torch.equal(a.grad, b.grad) for a, b in zip(plain.parameters(), stream.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), stream.buffers(), strict=True))
    assert stream.stages["module"].calls == ["forward"] * 3


def test_goes_on_with_what_it_is_given(x: torch.Tensor) -> None:
    plain, stream = net(), tapped()
    expected, found = written_out(plain, x, 0.3), through(stream, x, 0.3)
    assert torch.equal(found, expected)
    assert not torch.equal(found, plain(x))
    expected.sum().backward()
    found.sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(plain.parameters(), stream.parameters(), strict=True))


def test_taps_between_are_passed_by(x: torch.Tensor) -> None:
    stream, passage = tapped().eval(), tapped().eval().begin()
    late = passage.advance(x, "turns.1")
    assert tuple(late.shape) == (3, 8, 4, 4)
    assert torch.equal(passage.advance(late, None), stream(x))
    assert torch.equal(stream.advance(x, None, "turns.1"), late)


def test_streams_of_one_class_meet() -> None:
    streams = {"T1w": tapped(net(1)), "FLAIR": tapped(net(2)), "plain": tapped(net(3))}
    parts = {name: copy.deepcopy(stream) for name, stream in streams.items()}
    modules = {point: MMTM([streams["T1w"].taps[point].channels] * 3, spatial_dims=2) for point in ("norm", "turns.1")}
    network = FusionNetwork(streams, modules)
    inputs = {name: torch.randn(4, 1, 8, 8) for name in streams}
    expected = torch.stack([parts[name](inputs[name]) for name in streams]).mean(0)
    torch.testing.assert_close(network(inputs), expected, rtol=0, atol=1e-6)
    for parameter in network.fusion.parameters():
        nn.init.normal_(parameter)
    logits = network(inputs)
    assert not torch.allclose(logits, expected)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    present = torch.tensor([[True, False, True]] * 4)
    shown = network(inputs, present)
    assert torch.equal(shown, network(inputs | {"FLAIR": inputs["FLAIR"] + 9}, present))


def test_gradients_flow_from_every_stream_to_every_input() -> None:
    network = FusionNetwork({"a": tapped(net(1)), "b": tapped(net(2))}, {"body.wide": MMTM([8, 8], spatial_dims=2)})
    for parameter in network.fusion.parameters():
        nn.init.normal_(parameter)
    inputs = {name: torch.randn(4, 1, 8, 8, requires_grad=True) for name in ("a", "b")}
    network.by_stream(inputs)["a"].sum().backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in inputs.values())


@pytest.mark.parametrize("reentrant", [True, False])
def test_the_whole_may_be_computed_again(reentrant: bool, x: torch.Tensor) -> None:
    stream, twin = tapped().eval(), tapped().eval()
    x = x.requires_grad_()
    expected = through(twin, x, 0.2)
    found = checkpoint.checkpoint(through, stream, x, 0.2, use_reentrant=reentrant)
    assert torch.equal(found, expected)
    expected.sum().backward()
    found.sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(twin.parameters(), stream.parameters(), strict=True))


def test_features_may_become_finer() -> None:
    module = nn.Sequential(nn.Conv1d(1, 3, 2, stride=2), nn.Upsample(scale_factor=4), nn.Flatten(), nn.Linear(48, 2))
    assert [tap.reduction for tap in find_taps(module, ["0", "1"], torch.zeros(2, 1, 8))] == [2.0, 0.5]


def test_networks_are_copied_and_loaded_without_pickle(x: torch.Tensor) -> None:
    stream = tapped().eval()
    twin = copy.deepcopy(stream)
    assert torch.equal(through(twin, x, 0.1), through(stream, x, 0.1))
    nn.init.zeros_(twin.get_parameter("stages.module.out.weight"))
    assert not torch.equal(through(twin, x), through(stream, x))
    other = tapped(net(7)).eval()
    other.load_state_dict(stream.state_dict())
    assert torch.equal(through(other, x), through(stream, x))


def test_flops_are_counted() -> None:
    plain, stream, counts = net(), tapped(), []
    x = torch.zeros(2, 1, 8, 8)
    for run in (plain, stream, lambda batch: through(stream, batch)):
        with FlopCounterMode(display=False) as counter:
            run(x)
        counts.append(counter.get_total_flops())
    assert counts == [36_192] * 3


# --- what torch keeps for each thread ---


class Contexts(nn.Module):
    """Enters a context around its tapped submodule."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.first, self.second = kind, nn.Linear(4, 4), nn.Linear(4, 2)
        self.seen: list[tuple[bool, bool, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with CONTEXTS[self.kind]():
            self.seen.append(state())
            x = self.first(x)
            self.seen.append(state())
            y = x * 2 if self.kind == "inference" else torch.mm(x, x.T) @ x
        return self.second(y.float().clone())


CONTEXTS = {
    "nothing": lambda: torch.enable_grad(),
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no_autocast": lambda: torch.autocast("cpu", enabled=False),
    "inference": torch.inference_mode,
}


def state() -> tuple[bool, bool, bool]:
    return torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.is_inference_mode_enabled()


def nesting() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    before = state(), nesting()
    yield
    assert (state(), nesting()) == before


@pytest.mark.parametrize("inner", list(CONTEXTS))
@pytest.mark.parametrize("outer", ["nothing", "no_grad", "autocast"])
def test_contexts_stay_on_their_side(inner: str, outer: str) -> None:
    torch.manual_seed(0)
    modules = [Contexts(inner), Contexts(inner)]
    plain = copy.deepcopy(modules)
    streams = [TappedModule(module, ["first"], torch.zeros(2, 4)) for module in modules]
    x = torch.randn(3, 4)
    with CONTEXTS[outer]():
        expected, before = [module(x) for module in plain], (state(), nesting())
        passes = [stream.begin() for stream in streams]
        features = []
        for passage in passes:  # both passes are open at once
            features.append(passage.advance(x, "first"))
            assert (state(), nesting()) == before
        found = []
        for passage, given in zip(reversed(passes), reversed(features), strict=True):
            found.append(passage.advance(given, None))
            assert (state(), nesting()) == before
    assert all(torch.equal(a, b) for a, b in zip(reversed(found), expected, strict=True))
    for module, twin in zip(modules, plain, strict=True):
        assert module.seen[2:] == twin.seen
    if inner == "autocast":
        assert features[0].dtype == (torch.bfloat16 if outer == "autocast" else torch.float32)


def test_a_pass_follows_the_state_in_which_it_is_resumed(x: torch.Tensor) -> None:
    passage = tapped().begin()
    with torch.no_grad():
        features = passage.advance(x, "norm")
        assert not torch.is_grad_enabled()
    assert not features.requires_grad
    assert torch.is_grad_enabled()
    passage.advance(features, None)
    assert torch.is_grad_enabled()


def test_a_dropped_pass_leaves_nothing_behind(x: torch.Tensor) -> None:
    ended = []

    class Watched(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                    return super().forward(x)
            except Exception:
                ended.append("exception")
                raise
            finally:
                ended.append("finally")

    stream = tapped(Watched())
    ended.clear()
    passage = stream.begin()
    features = weakref.ref(passage.advance(x, "turns.1"))
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        before = state(), nesting()
        del passage
        assert (state(), nesting()) == before
    assert ended == ["finally"]
    assert features() is None
    module = weakref.ref(stream.stages["module"])
    stream.begin()  # never started
    left = stream.begin()
    left.advance(x, "norm")
    assert stream(x).shape == (3, 2)  # while another pass stands still
    del left, stream
    assert module() is None


def test_an_error_in_the_network_reaches_the_caller(x: torch.Tensor) -> None:
    class Fails(Net):
        broken = False

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                logits = super().forward(x)
                if self.broken:
                    raise ArithmeticError("in the middle")
            return logits

    stream = tapped(Fails())
    stream.stages["module"].broken = True
    passage = stream.begin()
    features = passage.advance(x, "norm")
    with pytest.raises(ArithmeticError, match="in the middle"):
        passage.advance(features, None)
    assert torch.is_grad_enabled()
    with pytest.raises(ValueError, match="`until` must be a tap ahead, but the pass is over and got 'fc'"):
        passage.advance(features, "fc")
    stream.stages["module"].broken = False
    assert torch.equal(through(stream.eval(), x), stream(x))


def test_an_error_between_streams_ends_their_passes(x: torch.Tensor) -> None:
    class Refuses(MMTM):
        def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
            raise ArithmeticError("no meeting")

    streams = {"a": tapped(net(1)), "b": tapped(net(2))}
    network = FusionNetwork(streams, {"norm": Refuses([4, 4], spatial_dims=2)})
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ArithmeticError, match="no meeting"):
        network({"a": x, "b": x})
    assert not [held for held in gc.get_objects() if type(held) is SuspendedPass]


def test_passes_in_threads(x: torch.Tensor) -> None:
    stream = tapped().eval()
    expected, found = through(stream, x, 0.2), dict[int, torch.Tensor]()

    def run(i: int) -> None:
        found[i] = through(stream, x, 0.2)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(logits, expected) for logits in found.values())


# --- layouts ---


class Tokens(nn.Module):
    """A transformer: features are (batch, tokens, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, 6)
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.encoder(self.embed(x.transpose(1, 2))).mean(1))


@pytest.mark.parametrize("training", [True, False])
def test_channels_may_come_last(training: bool) -> None:
    torch.manual_seed(0)
    module = Tokens().train(training)
    plain, names = copy.deepcopy(module), ["encoder.layers.0", "encoder.layers.1"]
    stream = TappedModule(module, names, torch.zeros(2, 5, 7), channels_last=names)
    assert list(stream.taps.values()) == [Tap(name, 6, 1.0) for name in names]
    x = torch.randn(3, 5, 7)
    passage = stream.begin()
    first = passage.advance(x, names[0])
    assert tuple(first.shape) == (3, 6, 7)
    torch.testing.assert_close(passage.advance(first, None), plain(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(through(stream, x), plain(x), rtol=1e-5, atol=1e-6)


class Patches(nn.Module):
    """Features are (batch, *spatial, channels), as in a Swin transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x.movedim(1, -1)))).flatten(1, -2).mean(1)


def test_channels_may_come_last_behind_several_axes() -> None:
    module = Patches()
    stream = TappedModule(module, ["first"], torch.zeros(2, 3, 5, 6, 7), channels_last=["first"])
    x = torch.randn(2, 3, 5, 6, 7)
    passage = stream.begin()
    features = passage.advance(x, "first")
    torch.testing.assert_close(features, module.first(x.movedim(1, -1)).movedim(-1, 1))
    torch.testing.assert_close(passage.advance(features, None), module(x))


@pytest.mark.parametrize(
    ("module", "example", "reduction"),
    [
        (nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 3, 2, stride=2), nn.Flatten(), nn.Linear(27, 2)), (2, 6, 6), 2.0),
        (nn.Sequential(nn.Identity(), nn.Linear(6, 3), nn.Flatten(), nn.Linear(3, 2)), (2, 6), 1.0),
        (nn.Sequential(nn.Identity(), nn.Conv3d(2, 3, 2, stride=2), nn.Flatten(), nn.Linear(24, 2)), (2, 2, 4, 4, 4), 2.0),
    ],
)
def test_reduction_of_matrices_vectors_and_volumes(module: nn.Module, example: tuple[int, ...], reduction: float) -> None:
    assert find_taps(module, {"tap": "1"}, torch.zeros(example)) == [Tap("tap", 3, reduction)]


# --- misuse ---


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["stemm"], "`names` must be submodules of Net, but got 'stemm'. Did you mean 'stem'"),
        ([], r"`names` must be at least one submodule, each once, but got \[\]"),
        (["stem", "stem"], "`names` must be at least one submodule, each once"),
        ("stem", "`names` must be a list of submodules, but got 'stem'"),
        (["fc", "stem"], "`names` must be in the order in which they run, but 'stem' ran before 'fc'"),
        (["stem", "body"], "`names` must be submodules that run in every forward pass, but 'body' did not run"),
    ],
)
def test_names_that_cannot_be_tapped_raise(names: object, message: str) -> None:
    module = net()
    with pytest.raises(ValueError, match=message):
        find_taps(module, names, torch.zeros(2, 1, 8, 8))  # type: ignore[arg-type]
    assert not any(submodule._forward_hooks for submodule in module.modules())


class Odd(nn.Module):
    """Whatever a forward pass may do wrong, by a word."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.inner, self.head = kind, nn.Linear(4, 4), nn.Linear(4, 2)
        self.twin = self.inner
        self.pair = Pair()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        match self.kind:
            case "twice":
                x = self.inner(self.inner(x))
            case "functional":
                x = nn.functional.linear(x, self.inner.weight)
            case "training" if not self.training:
                x = self.inner(x)
            case "pair":
                x = self.pair(x)[0]
            case "checkpoint" | "reentrant":
                x = checkpoint.checkpoint(self.inner, x, use_reentrant=self.kind == "reentrant")
            case "device":
                with torch.device("cpu"):
                    x = self.inner(x)
            case "packs":
                with torch.autograd.graph.save_on_cpu():
                    x = self.inner(x)
            case "batch":
                x = self.inner(x[:1]) + x
        return {"logits": self.head(x)} if self.kind == "dict" else self.head(x)


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("twice", ["inner"], "`names` must be submodules that run once in a forward pass, but 'inner' ran twice"),
        ("functional", ["inner"], "`names` must be submodules that run in every forward pass, but 'inner' did not run"),
        ("pair", ["pair"], "one tensor `.batch, channels, .spatial.` of 0 to 3 spatial axes, but 'pair' returned a tuple"),
        (
            "checkpoint",
            ["inner"],
            "`names` must not be in a checkpointed part .*, but 'inner' is",
        ),
        ("reentrant", ["inner"], "`names` must not be in a checkpointed part .*, but 'inner' is"),
        ("device", ["inner"], "`names` must not be where the network has a torch mode open .* but 'inner' is"),
        ("packs", ["inner"], "`names` must not be where .* packs saved tensors, but 'inner' is"),
        ("batch", ["inner"], r"`.batch, channels, .spatial.`, a batch of 2, but 'inner' returned \(1, 4\)"),
        ("dict", ["head"], "`module` must return logits `.batch, classes.`, but got a dict"),
        ("twin", ["inner", "twin"], "`names` must be submodules of Odd, but got 'twin'"),
    ],
)
def test_forward_passes_that_cannot_be_tapped_raise(kind: str, names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TappedModule(Odd(kind), names, torch.zeros(2, 4))


def test_what_depends_on_the_data_is_refused_when_it_happens() -> None:
    stream = TappedModule(Odd("training"), ["inner"], torch.zeros(2, 4))
    with pytest.raises(ValueError, match="`names` must be submodules that run in every forward pass, but 'inner' did not run"):
        stream.begin().advance(torch.zeros(2, 4), "inner")


def test_misuse_of_a_passage_raises(x: torch.Tensor) -> None:
    stream = tapped()
    passage = stream.begin()
    features = passage.advance(x, "body.wide")
    with pytest.raises(ValueError, match=r"`until` must be a tap ahead, among \['turns.1', 'fc'\], but got 'norm'"):
        passage.advance(features, "norm")
    with pytest.raises(ValueError, match=r"`features` must keep their shape \(3, 8, 4, 4\), but got \(3, 8, 2, 2\)"):
        passage.advance(features[..., :2, :2], None)
    assert tuple(passage.advance(features, None).shape) == (3, 2)
    with pytest.raises(ValueError, match="`until` must be a tap ahead, but the pass is over and got None"):
        passage.advance(features, None)
    with pytest.raises(ValueError, match=r"`after` must be None, since .* only in a passage, but got 'norm'"):
        stream.advance(x, "norm", None)
    with pytest.raises(ValueError, match=r"`channels_last` must be among the taps \['norm'\], but got 'fc'"):
        TappedModule(net(), ["norm"], torch.zeros(2, 1, 8, 8), channels_last=["fc"])


def test_two_points_may_be_at_one_tap() -> None:
    torch.manual_seed(0)
    networks = {name: nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2)) for name in ("x", "y", "z")}
    parts = {name: TappedModule(network, ["0"], torch.zeros(2, 4)) for name, network in networks.items()}
    modules = {point: MMTM([6, 6], spatial_dims=0) for point in ("p", "q")}
    taps = {"p": {"x": "0", "y": "0"}, "q": {"x": "0", "z": "0"}}
    inputs = {name: torch.randn(3, 4) for name in parts}
    expected = torch.stack([networks[name](inputs[name]) for name in parts]).mean(0)
    torch.testing.assert_close(FusionNetwork(parts, modules, taps=taps)(inputs), expected)
