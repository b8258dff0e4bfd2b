# SPDX-License-Identifier: BSD-3-Clause
"""The state of a GPU as it affects timing, in one vocabulary, wherever it was asked for."""

from __future__ import annotations

from typing import NamedTuple

IDLE = "gpu idle"

# The bits of NVML's "clocks event reasons", which older drivers call throttle reasons.
_REASONS = {
    0x1: IDLE,
    0x2: "applications clocks setting",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake (hardware)",
    0x100: "display clock setting",
}
# An idle GPU clocks down and comes back with the first work; set clocks are what was asked for.
_HARMLESS = frozenset({IDLE, "applications clocks setting", "display clock setting"})


class GpuState(NamedTuple):
    """The state of a GPU at one moment. What the driver does not tell is None.

    Attributes:
        sm_clock_mhz: what its multiprocessors run at.
        sm_clock_max_mhz: the most that they can.
        memory_clock_mhz: what its memory runs at.
        power_w: what it draws.
        power_limit_w: the most that it may draw.
        temperature_c: of the chip, in degrees Celsius.
        throttle_reasons: why its clock is not higher, in words; among them harmless ones.
    """

    sm_clock_mhz: int | None
    sm_clock_max_mhz: int | None
    memory_clock_mhz: int | None
    power_w: float | None
    power_limit_w: float | None
    temperature_c: int | None
    throttle_reasons: tuple[str, ...]

    @property
    def slowdowns(self) -> tuple[str, ...]:
        """Those of `throttle_reasons` that make work take longer than it need."""
        return tuple(reason for reason in self.throttle_reasons if reason not in _HARMLESS)


class GpuModes(NamedTuple):
    """How a GPU is set up, in words. What the driver does not tell is None.

    Attributes:
        compute: who may use it, such as ``default`` or ``exclusive process``.
        mig: whether it is cut into instances, ``on`` or ``off``.
        persistence: whether the driver stays loaded when nobody uses it, ``on`` or ``off``.
        ecc: whether its memory corrects errors, ``on`` or ``off``.
    """

    compute: str | None
    mig: str | None
    persistence: str | None
    ecc: str | None


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """Return NVML's reasons in words, those without a word by their bit.

    >>> throttle_reasons(0x5)
    ('gpu idle', 'power cap')
    """
    single = (1 << place for place in range(bits.bit_length()))
    return tuple(_REASONS.get(bit, f"reason {bit:#x}") for bit in single if bits & bit)
