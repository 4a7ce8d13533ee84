"""From a folder or an embedded set to uint8 batches, each a pure function of the seed and its number; without torch."""

from i2i.data.loader import Batch, Loader, evaluation
from i2i.data.pairs import Pairs
from i2i.data.splits import EMBEDDED, Splits, open_splits
from i2i.data.threads import Progress

__all__ = ["EMBEDDED", "Batch", "Loader", "Pairs", "Progress", "Splits", "evaluation", "open_splits"]
