from nas_fusion import FloatingSampler

__all__ = ["FloatingSampler"]
