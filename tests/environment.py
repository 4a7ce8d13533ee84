"""A scratch environment, where distributions are installed by pip as anyone's are, and i2i is what it is here."""

import itertools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path


class Environment:
    """A virtual environment in `folder` without pip, which sees every package of the one that runs the tests.

    What is installed here is of no effect there. Nothing needs a network.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        asked = [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        own = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        parent = sysconfig.get_path("purelib")
        # Not a plain line with the path: that would leave out the .pth files there, of packages that are editable.
        (Path(own) / "parent.pth").write_text(f"import site; site.addsitedir({parent!r})\n")

    def install(self, *paths: Path, editable: bool = False) -> None:
        """Installs the distributions whose sources lie in these folders, without what they depend on."""
        only = ["--no-deps", "--no-index", "--no-build-isolation"]
        words = [["--editable", str(path)] if editable else [str(path)] for path in paths]
        self._pip("install", *only, *itertools.chain(*words))

    def build(self, path: Path, folder: Path) -> None:
        """Builds the wheel of the distribution whose source lies in the folder `path`."""
        self._pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(path))

    def remove(self, *distributions: str) -> None:
        """Takes distributions out again."""
        self._pip("uninstall", "--yes", *distributions)

    def run(
        self, *words: str, module: str = "i2i", env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What `i2i WORDS`, or another module's command, says in this environment, whatever its exit status.

        env: variables beside those that there are, of which none of i2i's is handed on.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("I2I_")}
        return subprocess.run(
            [self.python, "-m", module, *words],
            env={**kept, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    def _pip(self, *words: str) -> None:
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", self.python, *quiet, *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
