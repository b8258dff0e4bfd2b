# SPDX-License-Identifier: BSD-3-Clause
"""How long does each stage of a server take? Several threads serve requests from one queue.

python examples/serve_with_threads.py
python examples/serve_with_threads.py --device cuda --requests 2000
"""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Sequence

import torch
from torch import nn

import fasttime


@fasttime.scope("serve")
def serve(model: nn.Module, text: str, device: torch.device) -> str:
    with fasttime.scope("tokenise"):
        tokens = torch.tensor([ord(letter) % 100 for letter in text]).to(device)
    with fasttime.scope("model"), torch.inference_mode():
        scores = model(tokens)
    with fasttime.scope("answer"):  # .item() waits for the device, so most of the time is here
        return f"class {scores.mean(0).argmax().item()}"


def worker(model: nn.Module, requests: queue.Queue[str | None], device: torch.device) -> None:
    while (text := requests.get()) is not None:
        serve(model, text, device)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args(arguments)

    device = torch.device(options.device)
    model = nn.Sequential(nn.Embedding(100, 64), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model = model.to(device).eval()
    requests: queue.Queue[str | None] = queue.Queue(maxsize=100)
    threads = [
        threading.Thread(target=worker, args=(model, requests, device), name=f"server {number}")
        for number in range(options.threads)
    ]
    for thread in threads:
        thread.start()
    before = fasttime.report()
    for number in range(options.requests):
        requests.put(f"request number {number}")
        if number == options.requests // 2:
            # A monitoring thread would do this every minute. It never waits and disturbs no reader.
            now = fasttime.report()
            served = now.since(before)
            before = now
            print(f"served so far: {served['serve'].count if 'serve' in served else 0}")
    for _ in threads:
        requests.put(None)
    for thread in threads:
        thread.join()
    print(fasttime.report(wait=True))


if __name__ == "__main__":
    main()
