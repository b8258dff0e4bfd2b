# SPDX-License-Identifier: BSD-3-Clause
"""Which layers take the time? Forward and backward of a torchvision model, layer by layer.

python examples/vision_layers.py
python examples/vision_layers.py --device cuda --model resnet50 --batch 64 --size 224
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
import torchvision

import fasttime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="mobilenet_v3_small")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--save", help="write the whole table: .html, .csv, .md or .json")
    options = parser.parse_args(arguments)

    model = torchvision.models.get_model(options.model).to(options.device)
    pictures = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    with fasttime.instrument(model) as handle:
        model(pictures).sum().backward()  # warm up: libraries choose their algorithms here
        handle.table(wait=True)
        handle.reset()
        for _ in range(options.steps):
            model(pictures).sum().backward()

    table = handle.table(wait=True)
    print("The layers that take longest:")
    print(table.top(10))
    print("\nBy type of layer:")
    print(table.by_type().sort())
    if options.save:
        table.save(options.save)


if __name__ == "__main__":
    main()
