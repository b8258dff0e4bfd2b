# SPDX-License-Identifier: BSD-3-Clause
"""Where does a training step go? A loop with a data loader and automatic mixed precision.

python examples/train_with_amp.py
python examples/train_with_amp.py --device cuda --steps 50
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import fasttime


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Made-up pictures. A real data set would read and decode files here."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        generator = torch.Generator().manual_seed(index)
        return torch.rand(3, 32, 32, generator=generator), index % 10


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args(arguments)

    device = torch.device(options.device)
    model = network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    # Gradients in bfloat16 need no scaler. With float16, use GradScaler on CUDA.
    loader = DataLoader(
        Pictures(options.batch * options.steps),
        batch_size=options.batch,
        num_workers=options.workers,
        pin_memory=device.type == "cuda",
    )
    with fasttime.instrument(model, optimizer=optimizer) as handle:
        for pictures, labels in fasttime.iterate(loader, "data"):
            pictures = pictures.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = loss_of(model(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    print(handle.steps(wait=True))
    print()
    print(handle.table(wait=True))


if __name__ == "__main__":
    main()
