# SPDX-License-Identifier: BSD-3-Clause
"""Which modules are timed, how hooks come off, and what copies of a model do."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from typing import Any

import pytest
import torch
from timed_modules import counts, records
from torch import nn

import fasttime
from fasttime.modules.active import active_handles


def nested() -> nn.Sequential:
    return nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Sequential(nn.Linear(4, 4)))


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({}, ["", "0", "0.0", "0.1", "1", "1.0"]),
        ({"depth": 1}, ["", "0", "1"]),
        ({"depth": 0}, [""]),
        ({"types": nn.Linear}, ["", "0.0", "1.0"]),
        ({"types": (nn.ReLU,), "match": "0.*"}, ["", "0.1"]),
        ({"match": ["*.1", "1"]}, ["", "0.1", "1"]),
    ],
)
def test_modules_can_be_chosen(options: dict[str, Any], paths: list[str]) -> None:
    model = nested()
    with fasttime.instrument(model, **options) as handle:
        model(torch.randn(2, 4))
    assert list(counts(handle, "forward")) == paths


def test_a_parent_is_the_nearest_chosen_module() -> None:
    with fasttime.instrument(nested(), match=["0", "*.0"]) as handle:
        found = handle.module_records().modules
    assert [(record.path, record.parent) for record in found] == [
        ("", None),
        ("0", 0),
        ("0.0", 1),
        ("1.0", 0),
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ([print], {}, TypeError, "takes a torch.nn.Module"),
        ([nn.Linear(1, 1)], {"match": "x*"}, ValueError, "none of the 0 modules"),
        ([nested()], {"types": nn.Conv2d}, ValueError, "none of the 5 modules"),
        ([nested()], {"depth": -1}, ValueError, "depth must be 0 or more"),
        ([nested()], {"overhead_budget": 0}, ValueError, "between 0 and 1"),
        ([nested()], {"overhead_budget": 1.5}, ValueError, "between 0 and 1"),
        ([nested()], {"optimizer": [3]}, TypeError, "must be a torch.optim.Optimizer"),
    ],
)
def test_wrong_input_is_refused(
    arguments: list[Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = active_handles()
    with pytest.raises(error, match=message):
        fasttime.instrument(*arguments, **options)
    assert active_handles() == before


def hooks_of(model: nn.Module) -> int:
    return sum(
        len(module._forward_hooks)
        + len(module._forward_pre_hooks)
        + len(module._forward_hooks_always_called)
        for module in model.modules()
    )


def test_remove_takes_everything_off() -> None:
    model = nested()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = fasttime.instrument(model, optimizer=optimizer)
    loss = model(torch.randn(2, 4)).sum()
    handle.remove()
    handle.remove()
    loss.backward()  # marked nodes do nothing now
    optimizer.step()
    assert hooks_of(model) == 0
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert active_handles() == ()
    assert counts(handle, "forward")[""] == 1
    assert handle._core.counts().open == 0


def test_a_handle_may_be_removed_inside_a_call() -> None:
    class Removing(nn.Module):
        handle: fasttime.Handle

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.handle.remove()
            return x * 2

    removing = Removing()
    model = nn.Sequential(nn.Linear(4, 4), removing, nn.Linear(4, 4))
    handle = Removing.handle = fasttime.instrument(model)
    model(torch.randn(2, 4)).sum().backward()
    assert counts(handle, "forward") == {"0": 1}
    assert handle._core.counts().open == 0


def test_a_model_may_go_before_its_handle() -> None:
    model = nested()
    handle = fasttime.instrument(model)
    model(torch.randn(2, 4))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert active_handles() == ()
    assert records(handle)["0.0"].calls == 1


def test_a_handle_that_is_dropped_is_freed_with_the_model() -> None:
    model = nested()
    gone = weakref.ref(fasttime.instrument(model))
    model(torch.randn(2, 4)).sum().backward()
    assert gone() is not None
    del model
    gc.collect()
    assert gone() is None


def test_a_removed_handle_frees_its_recorder() -> None:
    model = nested()
    handle = fasttime.instrument(model)
    model(torch.randn(2, 4)).sum().backward()
    handle.remove()
    gone = weakref.ref(handle._hooks)  # owns the recorder
    del handle
    gc.collect()
    assert gone() is None


def test_a_second_handle_times_the_same_calls() -> None:
    model = nested()
    with fasttime.instrument(model) as first:
        model(torch.randn(2, 4)).sum().backward()
        with fasttime.instrument(model, types=nn.Linear) as second:
            model(torch.randn(2, 4)).sum().backward()
        model(torch.randn(2, 4)).sum().backward()
    assert counts(first, "backward")["0.0"] == counts(first, "forward")["0.0"] == 3
    assert counts(second, "backward") == {"": 1, "0.0": 1, "1.0": 1}
    assert counts(second, "forward") == {"": 1, "0.0": 1, "1.0": 1}


def test_state_dicts_stay_the_same() -> None:
    model = nested()
    before = list(model.state_dict())
    with fasttime.instrument(model):
        assert list(model.state_dict()) == before
        model.load_state_dict(model.state_dict())


def by_pickle(model: nn.Module) -> Any:
    return pickle.loads(pickle.dumps(model))


def by_torch(model: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle, by_torch])
def test_hooks_drop_out_of_a_copy(copied: Any) -> None:
    model = nested()
    with fasttime.instrument(model) as handle:
        other = copied(model)
        other(torch.randn(2, 4)).sum().backward()
        other(torch.randn(2, 4))
        assert hooks_of(other) == 0
        assert counts(handle, "forward") == {}
        model(torch.randn(2, 4))
    assert counts(handle, "forward")["0.0"] == 1


def test_hooks_stay_on_when_a_replica_shares_them() -> None:
    model = nn.Linear(4, 4)
    with fasttime.instrument(model) as handle:
        replica = model._replicate_for_data_parallel()
        replica.weight, replica.bias = model.weight, model.bias
        replica(torch.randn(2, 4))
        model(torch.randn(2, 4))
    assert counts(handle, "forward") == {"": 1}


def test_original_classes_are_named() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
    assert records(handle)["0"].type == "Linear"


def test_a_model_without_parameters_is_warned_about() -> None:
    model = nn.Sequential(nn.ReLU())
    with fasttime.instrument(model) as handle:
        model(torch.randn(2, 4))
    assert [warning.kind for warning in handle.table().warnings] == ["no_parameters"]


def test_a_timeout_needs_a_wait() -> None:
    with fasttime.instrument(nested()) as handle:
        with pytest.raises(ValueError, match="wait=True"):
            handle.table(timeout=1.0)
        with pytest.raises(ValueError, match="timeout"):
            handle.steps(wait=True, timeout=-1)
