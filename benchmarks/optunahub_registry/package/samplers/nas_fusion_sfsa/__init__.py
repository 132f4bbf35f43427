from nas_fusion import SFSASampler

__all__ = ["SFSASampler"]
