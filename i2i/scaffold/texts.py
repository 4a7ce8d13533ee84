"""What stands beside the source in a new distribution: how it is built, how it is tested, what it is."""

from __future__ import annotations

from string import Template
from typing import Final

PYPROJECT: Final = Template("""\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "i2i-$name"
version = "0.1.0"
description = "$name, an architecture for i2i"
readme = "README.md"
requires-python = ">=3.11"
license = "Apache-2.0"  # as the code that it begins with
keywords = ["i2i", "image-to-image"]
dependencies = ["i2i>=$version"]

[project.optional-dependencies]
test = ["i2i[train]", "pytest>=8.3"]

[project.entry-points."i2i.plugins"]
$name = "i2i_$name:plugin"

[tool.hatch.build]
dev-mode-dirs = ["src"]

[tool.hatch.build.targets.wheel]
packages = ["src/i2i_$name"]

[tool.pytest.ini_options]
testpaths = ["tests"]

[tool.ruff]
line-length = 120

[tool.mypy]
strict = true
plugins = ["pydantic.mypy"]
""")

TEST: Final = Template('''\
"""$name does all that i2i asks of a plugin."""

import pytest
from i2i.testing import CHECKS, Subject

SUBJECT = Subject("$name")


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_it_conforms(check):
    check(SUBJECT)
''')

README: Final = Template("""\
# i2i-$name

An architecture for i2i, which trains it, scores it, and exports it to one ONNX file. It begins as i2i's own plugin
`$like` ($paper); what becomes of it is up to you.

    pip install -e '.[test]'
    i2i train $name --steps 50
    i2i plugins check $name

The first makes it known to i2i, the second trains it on embedded data, and the third checks all that i2i asks of a
plugin; `pytest` does the same. `i2i train $name --print-config` prints every key that can be set.

In `src/i2i_$name`:

- `__init__.py`: the manifest. It imports no torch, so that `i2i plugins` is quick.
- `config.py`: what can be set, with the defaults, and what is refused.
- `networks.py`: the networks of a configuration.
- `game.py`: what they are given, what is compared, what is shown, what is exported.

Change `summary` and `paper` in the manifest, and this text, when it is yours.
""")
