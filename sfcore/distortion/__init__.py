"""The Lane Distortion Score (Selective Focus, eq. 2 and appendix B.1) and its three parts."""

from sfcore.distortion.score import Distortion, DistortionSettings, distortion

__all__ = ["Distortion", "DistortionSettings", "distortion"]
