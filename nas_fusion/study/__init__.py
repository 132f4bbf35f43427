"""Studies: created, opened, resumed and refused; run by worker processes; compared with each other."""

from nas_fusion.study.spec import StudySpec, load_study, open_study

__all__ = ["StudySpec", "load_study", "open_study"]
