"""Makes a game compute with its part of a batch what it would with the whole one.

The images of a batch hang together by two things: random numbers, which one process draws for all of them, one after
the other, and the statistics of batch norm. Here both are those of the whole batch, however many processes share it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from i2i.nn.precision import precise
from i2i.training.world import World, layout

_MULTIPLES: Final = 4  # so many batches, one behind another, a game may show a network at once
_DROPOUTS: Final = frozenset(
    {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
)
_DRAWN: Final = frozenset(
    {
        torch.rand,
        torch.rand_like,
        torch.randn,
        torch.randn_like,
        torch.randint,
        torch.randint_like,
        torch.normal,
        torch.bernoulli,
        Tensor.bernoulli,
        F.gumbel_softmax,
    }
)
_DRAWN_BY_VALUE: Final = frozenset(  # how many numbers they draw depends on what they are given
    {torch.poisson, torch.multinomial, Tensor.multinomial, torch.binomial, F.rrelu}
)
_DRAWN_IN_PLACE: Final = frozenset(
    {
        Tensor.bernoulli_,
        Tensor.cauchy_,
        Tensor.exponential_,
        Tensor.geometric_,
        Tensor.log_normal_,
        Tensor.normal_,
        Tensor.random_,
        Tensor.uniform_,
    }
)


class WholeBatch(TorchFunctionMode):
    """Within this, random numbers and batch norm are those of the whole batch, of which this process has a part.

    length: images in this part, as many as in the others. What is drawn is taken to be for a batch where its first
    dimension is `length` or two to four times that, as of several batches one behind another: it is drawn for all
    processes, and each takes its part, so that their random states stay the same. Whatever else is drawn is the same in
    all. All processes have to do the same in the same order.
    """

    def __init__(self, world: World, length: int) -> None:
        super().__init__()
        self._world = world
        self._length = length

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls `func`, for the whole batch where that makes a difference."""
        named = dict(kwargs or {})
        if self._world.size > 1:
            if func in _DRAWN or func in _DRAWN_BY_VALUE:
                return self._drawn(func, args, named)
            if func in _DRAWN_IN_PLACE:
                return self._drawn_in_place(func, args, named)
            if func in _DROPOUTS:
                return self._dropout(func, _bound(func, args, named))
            if func is F.batch_norm:
                return self._batch_norm(func, _bound(func, args, named))
            if func is F.instance_norm:
                return self._instance_norm(func, _bound(func, args, named))
        return func(*args, **named)

    def _drawn(self, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> Any:
        if any(self._is_batch(value) for value in (*args, *named.values())):
            fill = self._world.whole if func in _DRAWN_BY_VALUE else None
            args = [self._widened(value, fill) for value in args]
            named = {name: self._widened(value, fill) for name, value in named.items()}
            return self._own(func(*args, **named))
        if func in (torch.rand, torch.randn) and args and isinstance(args[0], int):
            args = [tuple(args)]  # torch.rand(2, 3) is torch.rand((2, 3))
        size = next((value for value in (*args, *named.values()) if isinstance(value, tuple | list)), ())
        if not size or not self._counts(size[0]):
            return func(*args, **named)
        wide = (size[0] * self._world.size, *size[1:])
        args = [wide if value is size else value for value in args]
        return self._own(func(*args, **{name: wide if value is size else value for name, value in named.items()}))

    def _drawn_in_place(self, func: Callable[..., Any], args: Sequence[Any], named: dict[str, Any]) -> Any:
        target, *rest = args
        if not self._is_batch(target):
            return func(*args, **named)
        rest = [self._widened(value) for value in rest]
        named = {name: self._widened(value) for name, value in named.items()}
        drawn = func(_like(target, len(target) * self._world.size), *rest, **named)
        with torch.no_grad():
            return target.copy_(self._own(drawn))

    def _dropout(self, func: Callable[..., Any], named: dict[str, Any]) -> Any:
        given = named["input"]
        if not (named["training"] and self._is_batch(given)):
            return func(**named)
        kept = self._own(func(**named | {"input": self._widened(given), "inplace": False}))
        return given.copy_(kept) if named["inplace"] else kept

    def _batch_norm(self, func: Callable[..., Any], named: dict[str, Any]) -> Any:
        """As nn.BatchNorm's, by the mean and the variance of all images; differentiable twice."""
        given: Tensor = named["input"]
        if not named["training"]:
            return func(**named)
        values = precise(given)
        across = [place for place in range(given.dim()) if place != 1]
        variance, mean = torch.var_mean(values, across, correction=0)
        # Of each part its mean and variance, and not sums of squares, which lose what is small beside the mean.
        count = values.new_full((1,), given.numel() / given.shape[1])
        own = torch.cat([mean, variance, count])
        rows = [own if rank == self._world.rank else torch.zeros_like(own) for rank in range(self._world.size)]
        known = _summed(torch.stack(rows), self._world)
        means, variances, counts = known[:, : len(mean)], known[:, len(mean) : -1], known[:, -1:]
        total = counts.sum()
        share = (counts / total).detach()
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean).square())).sum(0)
        if named["running_mean"] is not None:
            with torch.no_grad():
                momentum = named["momentum"]
                named["running_mean"].lerp_(mean.to(named["running_mean"].dtype), momentum)
                unbiased = variance * (total / (total - 1))
                named["running_var"].lerp_(unbiased.to(named["running_var"].dtype), momentum)
        shape = [1, -1, *[1] * (given.dim() - 2)]
        scale = (variance + named["eps"]).rsqrt()
        if named["weight"] is not None:
            scale = scale * named["weight"]
        normalised = (values - mean.view(shape)) * scale.view(shape)
        if named["bias"] is not None:
            normalised = normalised + named["bias"].view(shape)
        return normalised.to(given.dtype)

    def _instance_norm(self, func: Callable[..., Any], named: dict[str, Any]) -> Any:
        """Each image by its own; of running averages, where there are any, the mean over the processes."""
        normalised = func(**named)
        if named["use_input_stats"] and named["running_mean"] is not None:
            for average in (named["running_mean"], named["running_var"]):
                self._world.sum(average).div_(self._world.size)
        return normalised

    def _counts(self, first: int) -> bool:
        times, left = divmod(first, self._length)
        return left == 0 and 1 <= times <= _MULTIPLES

    def _is_batch(self, value: object) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and self._counts(len(value))

    def _widened(self, value: Any, fill: Callable[[Tensor], Tensor] | None = None) -> Any:
        """What stands for the whole batch where `value` is this process's part: the others' are 0, or by `fill`."""
        if not self._is_batch(value):
            return value
        rank, size = self._world.rank, self._world.size
        pieces: list[Tensor] = []
        for start in range(0, len(value), self._length):
            piece = value[start : start + self._length]
            others = fill(piece) if fill else _like(piece, len(piece) * size).zero_()
            whole = (others[: rank * len(piece)], piece, others[(rank + 1) * len(piece) :])
            pieces += [each for each in whole if len(each)]  # an empty one lies in memory anyhow
        return torch.cat(pieces)

    def _own(self, drawn: Tensor) -> Tensor:
        """This process's part of what was drawn for the whole batch, or for several one behind another."""
        whole = self._length * self._world.size
        begin = self._world.rank * self._length
        parts = [drawn[start + begin : start + begin + self._length] for start in range(0, len(drawn), whole)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Summed(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs, and so on."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, world: World) -> Tensor:
        """Adds up `part` over all processes."""
        ctx.world = world
        return world.sum(part.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Adds up the gradients."""
        return _summed(gradient, ctx.world), None


def _summed(part: Tensor, world: World) -> Tensor:
    return cast("Tensor", _Summed.apply(part, world))


def _like(tensor: Tensor, length: int) -> Tensor:
    """An empty tensor of so many rows that lies in memory as `tensor` does: numbers are drawn in that order."""
    shape = (length, *tensor.shape[1:])
    return torch.empty_permuted(shape, layout(tensor), dtype=tensor.dtype, device=tensor.device)


def _bound(func: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name."""
    bound = inspect.signature(func).bind(*args, **named)
    bound.apply_defaults()
    return bound.arguments
