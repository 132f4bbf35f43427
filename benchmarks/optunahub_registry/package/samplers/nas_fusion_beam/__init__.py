from nas_fusion import BeamSampler

__all__ = ["BeamSampler"]
