"""The fully connected networks of the first GAN and the first conditional one.

Without conditions: Goodfellow et al. 2014, arXiv:1406.2661, section 5, with the numbers of the settings for MNIST that
the authors published. With conditions: Mirza & Osindero 2014, arXiv:1411.1784, section 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLPGenerator(nn.Module):
    """Two hidden layers of 1200 rectified units; of the first, 200 see the noise and 1000 the condition, if any.

    The last layer is a tanh of [-1, 1] where the papers have a sigmoid of [0, 1]: the same but for the range. The
    conditional paper also puts out half of the hidden units in training; here only the discriminator's are.
    """

    def __init__(self, noise: int, conditions: int, channels: int, *, size: int) -> None:
        super().__init__()
        self.shape = channels, size, size
        self.of_noise = nn.Linear(noise, 200 if conditions else 1200)
        self.of_condition = nn.Linear(conditions, 1000) if conditions else None
        self.net = nn.Sequential(
            nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, channels * size * size), nn.Tanh()
        )

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images `[N, channels, size, size]` in [-1, 1] of noise `[N, noise]` and conditions `[N, conditions]`."""
        hidden = self.of_noise(noise)
        if self.of_condition is not None:
            hidden = torch.cat([hidden, self.of_condition(condition)], 1)
        pixels: Tensor = self.net(hidden)
        return pixels.view(-1, *self.shape)


class Maxout(nn.Module):
    """The largest of `pieces` linear functions (Goodfellow et al. 2013, arXiv:1302.4389, section 3)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, features: Tensor) -> Tensor:
        """`[N, inputs]` to `[N, units]`."""
        return torch.amax(self.linear(features).view(len(features), -1, self.pieces), 2)


class MLPDiscriminator(nn.Module):
    """Two maxout layers of 240 units; 50 more units see the condition, if any.

    dropout: of both hidden layers; of the pixels a fifth is put out, unless it is 0.
    """

    def __init__(self, channels: int, conditions: int = 0, *, size: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.of_image = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.2 if dropout > 0 else 0.0), Maxout(channels * size * size, 240, 5)
        )
        self.of_condition = Maxout(conditions, 50, 5) if conditions else None
        self.net = nn.Sequential(
            nn.Dropout(dropout),
            Maxout(290 if conditions else 240, 240, 4 if conditions else 5),
            nn.Dropout(dropout),
            nn.Linear(240, 1),
        )

    def forward(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Logits `[N, 1]` of images `[N, channels, size, size]` in [-1, 1] and conditions `[N, conditions]`."""
        hidden = self.of_image(image)
        if self.of_condition is not None:
            hidden = torch.cat([hidden, self.of_condition(condition)], 1)
        logits: Tensor = self.net(hidden)
        return logits
