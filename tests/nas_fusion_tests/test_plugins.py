from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from nas_fusion import plugins
from nas_fusion.samplers import SFSASampler


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {kind: {} for kind in plugins.KINDS})


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed sampler that cannot be imported, beside a good one."""
    points = {
        "bad": EntryPoint("bad", "no_such_package.samplers:Bad", "nas_fusion.samplers"),
        "good": EntryPoint("good", "nas_fusion.samplers.sfsa:SFSASampler", "nas_fusion.samplers"),
    }
    monkeypatch.setattr(plugins, "_entry_points", lambda kind: points if kind == "samplers" else {})


def test_what_is_installed_is_found_by_its_entry_point() -> None:
    assert plugins.load("samplers", "sfsa") is SFSASampler
    assert {"sfsa", "beam", "exhaustive"} <= set(plugins.names("samplers"))
    [sfsa] = [plugin for plugin in plugins.available("samplers") if plugin.name == "sfsa"]
    assert (sfsa.target, sfsa.distribution, sfsa.error) == ("nas_fusion.samplers.sfsa:SFSASampler", "nas-fusion", None)
    assert sfsa.version


def test_what_is_registered_is_found() -> None:
    @plugins.register("routers", "mine")
    class Mine:
        pass

    assert plugins.load("routers", "mine") is Mine
    assert "mine" in plugins.names("routers")
    [found] = [plugin for plugin in plugins.available("routers") if plugin.name == "mine"]
    assert found.target.endswith("test_plugins:test_what_is_registered_is_found.<locals>.Mine")
    assert (found.distribution, found.error) == (None, None)


def test_a_registered_name_goes_before_an_installed_one() -> None:
    plugins.register("samplers", "sfsa")(dict)
    assert plugins.load("samplers", "sfsa") is dict
    assert plugins.names("samplers").count("sfsa") == 1


def test_a_name_is_held_by_one_object_but_a_module_may_be_run_again() -> None:
    plugins.register("modules", "sum")(dict)
    plugins.register("modules", "sum")(dict)
    with pytest.raises(ValueError, match="`name` must be free among modules, but 'sum' is builtins:dict already"):
        plugins.register("modules", "sum")(list)


@pytest.mark.usefixtures("broken")
def test_a_broken_plug_in_breaks_no_other() -> None:
    assert plugins.load("samplers", "good") is SFSASampler
    bad, good = plugins.available("samplers")
    assert good.error is None
    assert bad.error is not None
    assert "no_such_package" in bad.error
    with pytest.raises(ValueError, match=r"The sampler 'bad' \(no_such_package.samplers:Bad, .*ModuleNotFoundError"):
        plugins.load("samplers", "bad")


@pytest.mark.usefixtures("broken")
def test_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"`sampler` must be one of bad, good, but got 'goood'\. Did you mean 'good'\?"):
        plugins.load("samplers", "goood")
    with pytest.raises(ValueError, match=r"`space` must be one of \(none is installed\), but got 'x'"):
        plugins.load("spaces", "x")


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="`kind` must be one of spaces, samplers, modules, routers, cohorts, but got 'cats'"):
        plugins.load("cats", "tom")
