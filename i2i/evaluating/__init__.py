"""Scoring models, or the finished images of other programs, on images: alone, and several side by side."""

from i2i.evaluating.comparison import Comparison, compare
from i2i.evaluating.evaluation import Evaluation, evaluate

__all__ = ["Comparison", "Evaluation", "compare", "evaluate"]
