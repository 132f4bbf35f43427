from nas_fusion import SurrogateSampler

__all__ = ["SurrogateSampler"]
