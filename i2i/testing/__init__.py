"""The conformance suite: what i2i asks of every plugin, as checks for a plugin's own tests.

    import pytest
    from i2i.testing import CHECKS, Subject

    SUBJECT = Subject("mine")


    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_it_conforms(check):
        check(SUBJECT)

`i2i plugins check mine` runs the same from the command line.
"""

from i2i.testing.check import Check, ConformanceError
from i2i.testing.public import PUBLIC
from i2i.testing.subject import Subject
from i2i.testing.verdict import CHECKS, Verdict, verdicts

__all__ = ["CHECKS", "PUBLIC", "Check", "ConformanceError", "Subject", "Verdict", "verdicts"]
