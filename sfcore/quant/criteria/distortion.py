"""Harm is what the decoded prediction suffers: the task's distortion score."""

from __future__ import annotations

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.criteria.base import CRITERIA, OutputCriterion


@CRITERIA.register("distortion")
class DistortionCriterion(OutputCriterion):
    """Mean distortion score per frame of the decoded prediction."""

    title = "Distortion of the decoded prediction"
    source = "this project"
    power = 2

    def __init__(self, detector: Detector, reference: Outputs) -> None:
        super().__init__(detector, reference)
        self.prediction = detector.decode(reference)

    def harm(self, outputs: Outputs) -> float:
        found = self.detector.task.distortion(self.prediction, self.detector.decode(outputs))
        return float(found.score.mean())
