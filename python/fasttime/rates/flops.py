# SPDX-License-Identifier: BSD-3-Clause
"""Count the floating-point operations of a call with torch's counter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..timing_warning import TimingWarning

_MOST_NAMED = 5  # operators in the warning
# Operators that compute nothing, besides views.
_FREE = ("empty", "detach", "alias", "clone", "copy_", "_to_copy", "lift_fresh", "zeros", "ones")


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the operators for which torch knows no number of operations."""

    def __init__(self, known: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        packet = func._overloadpacket
        name = str(packet).rpartition(".")[2]
        if packet not in self._known and not func.is_view and not name.startswith(_FREE):
            self.uncounted[str(packet)] += 1
        return func(*args, **(kwargs or {}))


def count_flops(call: Callable[[], object]) -> tuple[float, tuple[TimingWarning, ...]]:
    """Call once and return the floating-point operations that torch counts.

    Torch knows matrix products, convolutions and attention. It knows no element-wise operators,
    and sees nothing inside compiled code and other libraries' kernels. A warning names the
    operators that were not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    operators = _Operators(flop_registry)
    with FlopCounterMode(display=False) as counter, operators:
        call()
    total = float(counter.get_total_flops())
    if total and not operators.uncounted:
        return total, ()
    if not total:
        message = (
            "torch counted no floating-point operations in the call, so there is no such rate. "
            "Pass flops= as a number."
        )
        return 0.0, (TimingWarning("flops_uncounted", message),)
    named = ", ".join(name for name, _ in operators.uncounted.most_common(_MOST_NAMED))
    more = len(operators.uncounted) - _MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    message = (
        f"torch does not count the operations of {named}{rest}, so the rate does not include "
        "them. Pass flops= as a number if they matter."
    )
    return total, (TimingWarning("flops_uncounted", message),)


def dtype_of(args: tuple[object, ...], kwargs: dict[str, object]) -> str | None:
    """Return the type of the first floating-point tensor among the arguments, such as float16."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.nn.Module):
            value = next(value.parameters(), None)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return str(value.dtype).removeprefix("torch.")
    return None
