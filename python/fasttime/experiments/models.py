# SPDX-License-Identifier: BSD-3-Clause
"""The models that the experiments time: MobileNetV3 of torchvision, untrained."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import torch

from .settings import Settings


def mobilenet_v3(
    size: Literal["large", "small"],
    settings: Settings,
    *,
    num_classes: int = 1000,
    width_mult: float = 1.0,
) -> Any:
    """Return a MobileNetV3 in eval mode on the device, with random weights.

    Raises ImportError if torchvision cannot be imported. The message says what to install.
    """
    try:
        # Imported late: torchvision is optional, and slow to import.
        zoo: Any = importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise ImportError(
            f"the experiments need torchvision, which could not be imported ({error}); "
            "install it: pip install 'fasttime[demo]'"
        ) from error
    torch.manual_seed(settings.seed)
    model = getattr(zoo, f"mobilenet_v3_{size}")(num_classes=num_classes, width_mult=width_mult)
    return model.to(settings.device).eval()


def random_images(settings: Settings) -> torch.Tensor:
    """Return a batch of random images of 3 x 224 x 224 on the device."""
    generator = torch.Generator().manual_seed(settings.seed)
    return torch.randn(settings.batch, 3, 224, 224, generator=generator).to(settings.device)
