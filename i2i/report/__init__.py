"""A run as a person reads it: its report, its model card, and both while it is being trained."""

from i2i.report.model_card import card, write_card
from i2i.report.page import page, write
from i2i.report.watch import watching

__all__ = ["card", "page", "watching", "write", "write_card"]
