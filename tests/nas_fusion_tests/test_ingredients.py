from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from nas_fusion import plugins
from nas_fusion.ingredients import adopt_again, check_ingredients, ingredients, local_code_of
from tests.nas_fusion_tests.installed import write_distribution

GATE = {"kind": "modules", "name": "gate", "distribution": "my-modules", "version": "1.2", "target": "my_gates:Gate"}


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_registered", {kind: {} for kind in plugins.KINDS})
    monkeypatch.setattr(plugins, "_files", {})


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "my-modules", version: str = "1.2") -> None:
    points = "[nas_fusion.modules]\ngate = my_gates:Gate\n"
    monkeypatch.syspath_prepend(write_distribution(folder, name, version, points, my_gates="class Gate: pass"))


def test_what_something_is_made_of_is_written_down_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    rows = ingredients({"modules": ("gate", "mmtm", "gate"), "spaces": ("choices",)})
    version = plugins.describe("modules", "mmtm").version
    ours = {"kind": "modules", "name": "mmtm", "distribution": "nas-fusion", "version": version}
    assert rows == [GATE, {**ours, "target": "nas_fusion.fusion.mmtm:MMTM"}]
    assert json.loads(json.dumps(rows)) == rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_ingredients(rows)


def test_what_is_missing_is_named_with_distribution_and_version() -> None:
    message = (
        r"must be installed as they were when this was made, but there is no module 'gate' \(my_gates:Gate of the distribution "
        r"my-modules 1\.2\) and no router 'gate' \(__main__:Gate, registered by a program\)\.$"
    )
    own = {**GATE, "kind": "routers", "distribution": None, "version": None, "target": "__main__:Gate"}
    with pytest.raises(ValueError, match=message):
        check_ingredients([GATE, *ingredients({"modules": ("mmtm",)}), own])


def test_what_is_broken_is_named_with_both_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = "[nas_fusion.modules]\ngate = my_broken_gates:Gate\n"
    monkeypatch.syspath_prepend(write_distribution(tmp_path, "my-modules", "1.3", points, my_broken_gates="import nowhere"))
    message = (
        r"The module 'gate' \(my_broken_gates:Gate, from my-modules 1\.3\) cannot be loaded: ModuleNotFoundError: .*\. "
        r"It was my_gates:Gate of the distribution my-modules 1\.2 when this was made"
    )
    with pytest.raises(ValueError, match=message):
        check_ingredients([GATE])


@pytest.mark.parametrize(("name", "version"), [("my-modules", "1.3"), ("your-modules", "1.2")])
def test_another_version_or_distribution_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, version: str
) -> None:
    install(tmp_path, monkeypatch, name, version)
    with pytest.warns(UserWarning, match=f"The module 'gate' is {name} {version} here, but was .* my-modules 1.2 when"):
        check_ingredients([GATE])


def test_versions_of_nas_fusion_are_its_own_care() -> None:
    [mmtm] = ingredients({"modules": ("mmtm",)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_ingredients([{**mmtm, "version": "0.0.1"}])


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "from nas_fusion import plugins\n@plugins.register('modules', 'my-gate')\nclass Gate: pass\nclass Sum: pass\n"
    )
    return path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be as another process, which has not run the file."""
    from nas_fusion import local_code

    monkeypatch.setattr(local_code, "_ran", {})
    monkeypatch.setattr(plugins, "_registered", {kind: {} for kind in plugins.KINDS})
    monkeypatch.setattr(plugins, "_files", {})


def test_local_code_is_adopted_again(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = {"modules": [plugins.adopt("modules", f"{local}:{name}", allowed=True) for name in ("Gate", "Sum")]}
    rows = ingredients({**used, "routers": ("top_k",)})
    code = json.loads(json.dumps(local_code_of(rows)))
    assert [(row["kind"], row["name"], row["path"]) for row in code] == [
        ("modules", "my-gate", str(local)),
        ("modules", "Sum", str(local)),
    ]
    adopt_again(code)  # it runs already
    forget(monkeypatch)
    with pytest.raises(ValueError, match=rf"`--allow-local-code` must be given .* the module 'my-gate' is code of {local}"):
        adopt_again(code)
    adopt_again(code, allowed=True)
    assert plugins.load("modules", "Sum").__name__ == "Sum"
    check_ingredients(rows)


def test_local_code_that_is_gone_or_has_changed_is_refused(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ingredients({"modules": (plugins.adopt("modules", f"{local}:Sum", allowed=True),)})
    forget(monkeypatch)
    local.write_text("raise AssertionError('it ran')")
    with pytest.raises(
        ValueError, match=rf"must be what it was, but the module 'Sum' is code of {local}, which has changed: its"
    ):
        adopt_again(local_code_of(rows), allowed=True)
    local.unlink()
    with pytest.raises(ValueError, match=rf"must be where it was, but the module 'Sum' is code of {local}\. .*No such file"):
        adopt_again(local_code_of(rows), allowed=True)
    with pytest.raises(ValueError, match=rf"there is no module 'Sum' \(local code, {local}:Sum\)\.$"):
        check_ingredients(rows)
