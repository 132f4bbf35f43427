from nas_fusion import BackwardSampler

__all__ = ["BackwardSampler"]
