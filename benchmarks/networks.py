"""MobileNetV2 in plain PyTorch (arXiv 1801.04381), for the benchmarks."""

from __future__ import annotations

import torch
from torch import nn

# expansion, channels, repeats, stride
_TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _round(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _conv(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
    ]


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project; a skip connection where shapes allow."""

    def __init__(self, cin: int, cout: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = cin * expansion
        self.skip = stride == 1 and cin == cout
        expand = [*_conv(cin, hidden, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*_conv(hidden, hidden, 3, stride, hidden), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *_conv(hidden, cout, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, cin, H, W] to [N, cout, H / stride, W / stride]."""
        y: torch.Tensor = self.layers(x)
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """MobileNetV2 with a width multiplier."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        channels = _round(32 * width)
        layers: list[nn.Module] = [*_conv(3, channels, 3, 2), nn.ReLU6()]
        for expansion, size, repeats, stride in _TABLE:
            for i in range(repeats):
                cout = _round(size * width)
                layers.append(InvertedResidual(channels, cout, stride if i == 0 else 1, expansion))
                channels = cout
        last = _round(1280 * max(width, 1.0))
        self.features = nn.Sequential(*layers, *_conv(channels, last, 1), nn.ReLU6())
        self.classifier = nn.Linear(last, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, classes]."""
        logits: torch.Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits
