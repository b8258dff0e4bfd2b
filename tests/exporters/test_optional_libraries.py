# SPDX-License-Identifier: BSD-3-Clause
"""What happens without the library of an exporter or an integration."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("fasttime.exporters.prometheus", "prometheus_client", "prometheus"),
        ("fasttime.exporters.opentelemetry", "opentelemetry.sdk.metrics", "opentelemetry"),
        ("fasttime.exporters.tensorboard", "tensorboard", "tensorboard"),
        ("fasttime.integrations.transformers", "transformers", "transformers"),
    ],
)
def test_the_missing_library_is_named(
    module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # importing it now raises ImportError
    with pytest.raises(ImportError) as caught:
        importlib.import_module(module)
    message = str(caught.value)
    assert message.startswith(f"{module} needs {library.partition('.')[0]}: ")
    assert f"pip install 'fasttime[{extra}]'" in message
    assert "\n" not in message


def test_lightning_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "fasttime.integrations.lightning"
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("lightning", "pytorch_lightning"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    with pytest.raises(ImportError, match=r"pip install 'fasttime\[lightning\]'"):
        importlib.import_module(module)
