"""The plug-ins that a study is made of: written into its specification, and found again when it is opened."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from nas_fusion.ingredients import adopt_again, check_ingredients, ingredients, local_code_of
from nas_fusion.plugins import KINDS

if TYPE_CHECKING:
    from nas_fusion.space import SearchSpace
    from nas_fusion.study.spec import StudySpec


def made_of(spec: StudySpec, space: SearchSpace) -> StudySpec:
    """Return a specification that names the plug-ins of its study: of the space and all its models, cohort and sampler.

    Args:
        spec: The specification.
        space: Its space.
    """
    rows = ingredients({**space.all_uses(), "cohorts": (spec.source,), "samplers": (spec.sampler,)})
    return spec.replace(plugins=tuple(rows), local_code=tuple(local_code_of(rows)))


def find_again(spec: StudySpec, *, kinds: Collection[str] = KINDS, allow_local_code: bool = False) -> None:
    """Check that the plug-ins of a study are what they were, and make its local code known in this process.

    Args:
        spec: The study's specification.
        kinds: Of which plug-ins.
        allow_local_code: Whether code of files may run that does not run already.

    Raises:
        ValueError: If local code is not allowed, gone or changed, or a plug-in is missing or broken.
    """
    adopt_again([row for row in spec.local_code if row["kind"] in kinds], allowed=allow_local_code)
    check_ingredients([row for row in spec.plugins if row["kind"] in kinds])
