# SPDX-License-Identifier: BSD-3-Clause
"""Copying and pickling of models, data sets and functions with scopes in them."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

import fasttime
from fasttime import Recorder


class Model(torch.nn.Module):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.scope = recorder.scope
        self.whole = recorder.scope("whole")
        self.phases = recorder.phases("steps")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.whole, self.phases as phase:
            phase("first")
            with self.scope("inner"):
                return x


def counts(recorder: Recorder) -> dict[str, int]:
    return {site.path: site.count for site in recorder.report().walk()}


EVERYTHING = {
    "whole": 1,
    "whole/steps": 1,
    "whole/steps/first": 1,
    "whole/steps/first/inner": 1,
}


def test_a_copied_model_times_the_same_sites(recorder: Recorder) -> None:
    copy.deepcopy(Model(recorder))(torch.ones(1))
    assert counts(recorder) == EVERYTHING


def test_a_pickled_model_begins_empty(recorder: Recorder) -> None:
    model = Model(recorder)
    model(torch.ones(1))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert loaded.recorder is not recorder
    assert counts(loaded.recorder) == {}
    loaded(torch.ones(1))
    assert counts(loaded.recorder) == counts(recorder) == EVERYTHING


def test_a_pickled_recorder_keeps_its_options() -> None:
    loaded = pickle.loads(pickle.dumps(Recorder(keep_samples=3)))
    for _ in range(5):
        with loaded.scope("a"):
            pass
    assert len(loaded.samples("a")) == 3


def test_the_default_recorder_stays_the_default() -> None:
    for function in (
        fasttime.scope,
        fasttime.phases,
        fasttime.begin,
        fasttime.end,
        fasttime.report,
    ):
        assert pickle.loads(pickle.dumps(function)) == function
    loaded = pickle.loads(pickle.dumps(fasttime.scope("pickled")))
    try:
        with loaded:
            pass
        assert fasttime.report()["pickled"].count == 1
    finally:
        fasttime.reset()


def test_a_scope_on_a_stream_cannot_be_pickled(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="make it without stream="):
        pickle.dumps(recorder.scope("a", stream=1234))


def test_a_scope_without_a_recorder_cannot_be_pickled() -> None:
    scope = Recorder().scope("a")
    with pytest.raises(TypeError, match="its recorder is gone"):
        pickle.dumps(scope)
