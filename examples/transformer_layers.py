# SPDX-License-Identifier: BSD-3-Clause
"""Which layers take the time? A language model of `transformers`, made from a config.

The model has random weights, so nothing is downloaded.

    python examples/transformer_layers.py
    python examples/transformer_layers.py --device cuda --layers 12 --width 1024 --tokens 1024
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import fasttime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args(arguments)

    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=options.width,
        intermediate_size=4 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=8,
        num_key_value_heads=8,
        use_cache=False,
    )
    model = LlamaForCausalLM(config).to(options.device)
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(1000, (options.batch, options.tokens), device=options.device)

    with fasttime.instrument(model, optimizer=optimizer) as handle:
        for _ in range(options.steps):
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    table = handle.table(wait=True)
    print("Everything that takes at least 1 % of the time:")
    print(table.min_share(0.01))
    print("\nBy type of layer:")
    print(table.by_type().sort())
    print()
    print(handle.steps(wait=True))


if __name__ == "__main__":
    main()
