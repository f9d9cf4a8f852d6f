"""Networks of the field in plain PyTorch, for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes, input first, with ReLU between them."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(before, after)]
    return nn.Sequential(*layers)


class SmallCNN(nn.Module):
    """Two convolutions with batch norm, ReLU and max pooling, then a linear classifier."""

    def __init__(self, channels: int = 3, classes: int = 10, size: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding="same", bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(16 * (size // 4) ** 2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, channels, size, size] to logits [N, classes]."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        logits: torch.Tensor = self.fc(self.dropout(torch.flatten(x, 1)))
        return logits


def _conv_norm(
    cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), *([nn.ReLU6(inplace=True)] if act else []))


def _round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor that is at least 90 % of ``channels``."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """Expand by 1×1, filter depthwise, project; skip where shapes allow (arXiv 1801.04381)."""

    def __init__(self, cin: int, cout: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = cin * expansion
        self.skip = stride == 1 and cin == cout
        expand = [_conv_norm(cin, hidden, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *expand,
            _conv_norm(hidden, hidden, 3, stride, hidden),
            _conv_norm(hidden, cout, 1, act=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, cin, H, W] to [N, cout, H / stride, W / stride]."""
        y: torch.Tensor = self.conv(x)
        return x + y if self.skip else y


class MobileNetV2(nn.Module):
    """MobileNetV2 with a width multiplier (arXiv 1801.04381)."""

    def __init__(self, width: float = 1.0, classes: int = 1000, mean_pool: bool = True) -> None:
        super().__init__()
        self.mean_pool = mean_pool
        channels = _round_channels(32 * width)
        blocks: list[nn.Module] = [_conv_norm(3, channels, 3, 2)]
        table = (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        )
        for expansion, base, count, stride in table:
            for i in range(count):
                cout = _round_channels(base * width)
                blocks.append(InvertedResidual(channels, cout, stride if i == 0 else 1, expansion))
                channels = cout
        last = _round_channels(1280 * max(1.0, width))
        self.features = nn.Sequential(*blocks, _conv_norm(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, classes]."""
        x = self.features(x)
        pool = nn.functional.adaptive_avg_pool2d
        x = x.mean([2, 3]) if self.mean_pool else pool(x, 1).flatten(1)
        logits: torch.Tensor = self.classifier(x)
        return logits


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a skip connection (arXiv 1512.03385)."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample: nn.Module | None = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, cin, H, W] to [N, cout, H / stride, W / stride]."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        out: torch.Tensor = self.relu(y)
        return out


class ResNet(nn.Module):
    """A 3×3 stem, stages of basic blocks, the mean over the image and a classifier.

    Args:
        width: channels of the first stage; each stage has twice as many as the one before, at
            half its height and width.
        blocks: number of basic blocks of each stage.
    """

    def __init__(self, classes: int = 10, width: int = 8, blocks: Sequence[int] = (1, 1)) -> None:
        super().__init__()
        self.stem = _conv_norm(3, width, 3)
        layers = []
        cin = width
        for stage, count in enumerate(blocks):
            cout = width << stage
            for i in range(count):
                layers.append(BasicBlock(cin, cout, 2 if stage > 0 and i == 0 else 1))
                cin = cout
        self.blocks = nn.Sequential(*layers)
        self.fc = nn.Linear(cin, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, classes]."""
        logits: torch.Tensor = self.fc(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def resnet18(classes: int = 10) -> ResNet:
    """ResNet-18 (arXiv 1512.03385) with the stem for small images: 3×3, no pooling."""
    return ResNet(classes, 64, (2, 2, 2, 2))


def tiny_net() -> nn.Sequential:
    """The network of the emulator tests: [N, 1, 8, 8] to logits [N, 3]."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.Conv2d(8, 6, 1, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
