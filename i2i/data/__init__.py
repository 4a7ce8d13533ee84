"""From a folder or an embedded set to uint8 batches, each a pure function of the seed and its number; without torch."""

from i2i.data.embedded import EMBEDDED, Embedded
from i2i.data.loader import Loader, evaluation
from i2i.data.samples import Batch, Sample, Samples
from i2i.data.splits import Splits, open_splits
from i2i.data.threads import Progress, thread_count

__all__ = [
    "EMBEDDED",
    "Batch",
    "Embedded",
    "Loader",
    "Progress",
    "Sample",
    "Samples",
    "Splits",
    "evaluation",
    "open_splits",
    "thread_count",
]
