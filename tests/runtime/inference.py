"""Stands in for the providers that the tests' machine lacks, at onnxruntime's border."""

from types import SimpleNamespace
from typing import Any, ClassVar

import onnxruntime

CPU = "CPUExecutionProvider"
REAL = onnxruntime.InferenceSession


class Session:
    """An InferenceSession on the CPU that claims the providers it was asked for, and remembers how it was opened."""

    opened: ClassVar[list["Session"]] = []
    takes_nothing: ClassVar[bool] = False
    lacks: ClassVar[frozenset[str]] = frozenset()  # providers that are left out in silence, as onnxruntime does

    def __init__(
        self, model: Any, options: Any, providers: list[tuple[str, dict[str, str]]], enable_fallback: int
    ) -> None:
        assert not enable_fallback
        self.options, self.asked = options, dict(providers)
        self._real = REAL(model, options, providers=[CPU])
        self.opened.append(self)

    def get_providers(self) -> list[str]:
        return [name for name in self.asked if name not in self.lacks]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        name = CPU if self.takes_nothing else next(iter(self.asked))
        return [SimpleNamespace(ep_name=name, get_nodes=lambda: [1, 2])] * 3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
