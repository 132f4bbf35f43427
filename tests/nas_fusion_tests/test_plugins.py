from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from nas_fusion import plugins
from nas_fusion.samplers import SFSASampler
from tests.nas_fusion_tests.installed import write_distribution

LOCAL = """
from nas_fusion import plugins

@plugins.register("modules", "my-gate")
class Gate:
    pass

class Sum:
    pass

number = 3
"""


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {kind: {} for kind in plugins.KINDS})
    monkeypatch.setattr(plugins, "_files", {})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions with samplers, good and bad ones."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys_samplers", raising=False)
    good = "[nas_fusion.samplers]\nmine = somebodys_samplers:Mine\n"
    bad = (
        "[nas_fusion.samplers]\nlost = no_such_package.samplers:Bad\nnumber = somebodys_samplers:number\n"
        "half = somebodys_samplers:Half\nquits = somebodys_quitter:Mine\nmine = somebodys_samplers:Other\n"
    )
    source = """
from abc import ABC, abstractmethod
from nas_fusion import plugins

@plugins.register("samplers", "mine")
class Mine: pass
class Other: pass
number = 3
class Half(ABC):
    @abstractmethod
    def ask(self): ...
"""
    write_distribution(tmp_path, "good-samplers", "1.0", good, somebodys_samplers=source)
    write_distribution(tmp_path, "other-samplers", "2.1", bad, somebodys_quitter="raise SystemExit(3)")


def test_what_is_installed_is_found_by_its_entry_point() -> None:
    assert plugins.load("samplers", "sfsa") is SFSASampler
    assert {"sfsa", "beam", "exhaustive"} <= set(plugins.names("samplers"))
    [sfsa] = [plugin for plugin in plugins.available("samplers") if plugin.name == "sfsa"]
    assert (sfsa.target, sfsa.distribution, sfsa.error) == ("nas_fusion.samplers.sfsa:SFSASampler", "nas-fusion", None)
    assert sfsa.version
    assert sfsa == plugins.describe("samplers", "sfsa")


def test_what_is_registered_is_found() -> None:
    @plugins.register("routers", "mine")
    class Mine:
        pass

    assert plugins.load("routers", "mine") is Mine
    assert "mine" in plugins.names("routers")
    [found] = [plugin for plugin in plugins.available("routers") if plugin.name == "mine"]
    assert found.target.endswith("test_plugins:test_what_is_registered_is_found.<locals>.Mine")
    assert (found.distribution, found.error, found.origin) == (None, None, "")


def test_a_registered_name_goes_before_an_installed_one() -> None:
    plugins.register("samplers", "sfsa")(dict)
    assert plugins.load("samplers", "sfsa") is dict
    assert plugins.names("samplers").count("sfsa") == 1
    assert plugins.describe("samplers", "sfsa").distribution is None


def test_a_name_is_held_by_one_object_but_a_module_may_be_run_again() -> None:
    plugins.register("modules", "sum")(dict)
    plugins.register("modules", "sum")(dict)
    with pytest.raises(ValueError, match="`name` must be free among modules, but 'sum' is builtins:dict already"):
        plugins.register("modules", "sum")(list)


@pytest.mark.usefixtures("installed")
def test_a_broken_plug_in_breaks_no_other() -> None:
    found = {plugin.name: plugin for plugin in plugins.available("samplers")}
    assert found["sfsa"].error is None
    assert found["mine"].error is None
    reasons = {
        "lost": r"no_such_package.samplers:Bad, from other-samplers 2.1\) cannot be loaded: ModuleNotFoundError",
        "number": r"somebodys_samplers:number, from other-samplers 2.1\) cannot be used: it must be a class or a function",
        "half": r"somebodys_samplers:Half, from other-samplers 2.1\) cannot be used: it must define ask, but does not",
        "quits": r"somebodys_quitter:Mine, from other-samplers 2.1\) cannot be loaded: SystemExit: 3",
    }
    for name, reason in reasons.items():
        with pytest.raises(ValueError, match=rf"The sampler '{name}' \({reason}"):
            plugins.load("samplers", name)
        assert (found[name].distribution, found[name].version) == ("other-samplers", "2.1")
        assert str(found[name].error).startswith(f"The sampler {name!r} (")


@pytest.mark.usefixtures("installed")
def test_a_name_that_two_distributions_claim_is_of_the_first_and_the_listing_says_so() -> None:
    mine = plugins.describe("samplers", "mine")
    assert (mine.origin, mine.target) == ("good-samplers 1.0", "somebodys_samplers:Mine")
    assert mine.others == ("other-samplers 2.1",)
    assert plugins.load("samplers", "mine").__name__ == "Mine"


@pytest.mark.usefixtures("installed")
def test_a_decorator_in_an_installed_module_does_not_hide_whose_it_is() -> None:
    plugins.load("samplers", "mine")
    assert "mine" in plugins._registered["samplers"]
    assert plugins.describe("samplers", "mine").origin == "good-samplers 1.0"


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"`sampler` must be one of .*sfsa.*, but got 'sfas'\. Did you mean 'sfsa'\?"):
        plugins.load("samplers", "sfas")
    with pytest.raises(ValueError, match=r"`router` must be one of .*, but got 'x'\.$"):
        plugins.describe("routers", "x")


def test_unknown_kind() -> None:
    known = "spaces, samplers, modules, backbones, routers, cohorts"
    with pytest.raises(ValueError, match=f"`kind` must be one of {known}, but got 'cats'"):
        plugins.load("cats", "tom")


# --- local code ---


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A file with a module under a name of its own, and one without."""
    path = tmp_path / "mine.py"
    path.write_text(LOCAL)
    return path


def test_local_code_has_the_name_that_its_decorator_gives_it_else_that_of_its_class(local: Path) -> None:
    assert plugins.adopt("modules", f"{local}:Gate", allowed=True) == "my-gate"
    assert plugins.adopt("modules", f"{local}:my-gate", allowed=True) == "my-gate"
    assert plugins.adopt("modules", f"{local}:Sum", allowed=True) == "Sum"
    assert plugins.adopt("modules", f"{local}:Sum", allowed=True) == "Sum"
    assert plugins.load("modules", "my-gate").__name__ == "Gate"
    found = plugins.describe("modules", "my-gate")
    assert (found.target, found.distribution, found.origin) == (f"{local}:Gate", None, "local code")
    assert found.sha256 == hashlib.sha256(LOCAL.encode()).hexdigest()
    assert plugins.describe("modules", "Sum").target == f"{local}:Sum"


def test_local_code_may_be_changed_and_adopted_again(local: Path) -> None:
    plugins.adopt("modules", f"{local}:Gate", allowed=True)
    local.write_text(LOCAL.replace("class Gate:\n    pass", "class Gate:\n    new = True"))
    plugins.adopt("modules", f"{local}:Gate", allowed=True)
    assert plugins.load("modules", "my-gate").new
    assert plugins.describe("modules", "my-gate").sha256 == hashlib.sha256(local.read_bytes()).hexdigest()


def test_local_code_does_not_run_unless_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("raise AssertionError('it ran')")
    with pytest.raises(ValueError, match=r"`module` must be installed unless --allow-local-code .* but got '.*mine\.py:Gate'"):
        plugins.adopt("modules", f"{path}:Gate")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{path}:Gaet", r"`module` must be something that .*mine\.py defines, but it has no 'Gaet'\. Did you mean 'Gate'\?"),
        ("{path}:number", r"The module '.*mine\.py:number' cannot be used: it must be a class or a function, but is int"),
        ("{path}", r"`module` must have the form FILE\.py:NAME to be local code, but got '.*mine\.py'"),
        ("{path}x:Gate", r"`module` must have the form FILE\.py:NAME"),
        ("/none{path}:Gate", "The code of /none.* cannot be read: No such file"),
    ],
)
def test_local_code_that_is_not_there(local: Path, place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plugins.adopt("modules", place.format(path=local), allowed=True)


def test_local_code_takes_no_name_of_a_distribution(local: Path) -> None:
    local.write_text(LOCAL.replace("my-gate", "mmtm"))
    with pytest.raises(ValueError, match=r"`name` must be free among modules, but 'mmtm' is of nas-fusion .* already"):
        plugins.adopt("modules", f"{local}:Gate", allowed=True)
    assert plugins.describe("modules", "mmtm").distribution == "nas-fusion"
