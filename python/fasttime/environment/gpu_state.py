# SPDX-License-Identifier: BSD-3-Clause
"""The state and the modes of a GPU that affect timing, in words."""

from __future__ import annotations

from typing import NamedTuple

IDLE = "gpu idle"

# The bits of NVML's "clocks event reasons". Older drivers call them throttle reasons.
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
# An idle GPU lowers its clock until work arrives. The user chose the settings.
_HARMLESS = frozenset({IDLE, "applications clocks setting", "display clock setting"})


class GpuState(NamedTuple):
    """The state of a GPU at one moment. Values that the driver does not report are None.

    Attributes:
        sm_clock_mhz: the clock of the multiprocessors.
        sm_clock_max_mhz: the highest clock of the multiprocessors.
        memory_clock_mhz: the clock of the memory.
        power_w: the power draw.
        power_limit_w: the highest power draw that is allowed.
        temperature_c: the temperature of the chip, in degrees Celsius.
        throttle_reasons: why the clock is not higher, in words, including harmless reasons.
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
        """The `throttle_reasons` that make work slower than necessary."""
        return tuple(reason for reason in self.throttle_reasons if reason not in _HARMLESS)


class GpuModes(NamedTuple):
    """The settings of a GPU, in words. Values that the driver does not report are None.

    Attributes:
        compute: who may use the GPU, such as ``default`` or ``exclusive process``.
        mig: whether the GPU is split into instances, ``on`` or ``off``.
        persistence: whether the driver stays loaded while no process uses it, ``on`` or ``off``.
        ecc: whether the memory corrects errors, ``on`` or ``off``.
    """

    compute: str | None
    mig: str | None
    persistence: str | None
    ecc: str | None


def throttle_reasons(bits: int) -> tuple[str, ...]:
    """Return NVML's reasons in words, and unknown reasons by their bit.

    >>> throttle_reasons(0x5)
    ('gpu idle', 'power cap')
    """
    single = (1 << place for place in range(bits.bit_length()))
    return tuple(_REASONS.get(bit, f"reason {bit:#x}") for bit in single if bits & bit)
