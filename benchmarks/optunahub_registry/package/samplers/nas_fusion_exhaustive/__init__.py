from nas_fusion import ExhaustiveSampler

__all__ = ["ExhaustiveSampler"]
