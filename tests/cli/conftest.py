import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """The builders of tiny artifacts in tests/runtime/models.py."""
    spec = importlib.util.spec_from_file_location(
        "i2i_test_models", Path(__file__).parents[1] / "runtime" / "models.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
