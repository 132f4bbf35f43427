"""Models outside the study: a directory of weights and facts that is loaded again without storage, store or cohort."""

from nas_fusion.export.exported import ExportedModel
from nas_fusion.export.loading import load_model
from nas_fusion.export.writing import export_model

__all__ = ["ExportedModel", "export_model", "load_model"]
