# SPDX-License-Identifier: BSD-3-Clause
"""Work that the timed stream does not see: on other streams of the device, and on other devices.

All warnings about such work are worded here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..streams import Stream, describe_streams
from ..text import format_seconds
from ..timing_warning import TimingWarning
from . import machine

# A run that takes less than this beyond an empty pair did no work: no kernel is that short.
_NO_WORK = 0.5e-6

# The host may take this long to continue after the device is done, in seconds. A single wait may be
# interrupted by another process. The median of several waits is hardly affected. If torch's streams
# were asked and had unfinished work, the host was not just late.
_WAKING_UP = 200e-6
_WAKING_UP_IN_MOST = 50e-6
_BUSY = 20e-6
SEVERAL = 5

_IDLE_WAITS = 3

# Work elsewhere matters if it goes on for longer than this share of the timed runs.
_SHARE = 0.05


class Elsewhere(NamedTuple):
    """How long work elsewhere went on after the timed stream was done. Times are in seconds.

    Attributes:
        streams: how long other streams of the current device kept working, or how long the host
            took to learn that they did not.
        devices: the same for each other device in use, by index.
        busy: the streams of torch, on every device, that had unfinished work when the timed stream
            was done. None if torch's streams were not asked.
        readings: how many readings these are the medians of.
    """

    streams: float = 0.0
    devices: Mapping[int, float] = {}
    busy: tuple[Stream, ...] | None = None
    readings: int = 1

    @property
    def total(self) -> float:
        """How long everything elsewhere went on."""
        return self.streams + sum(self.devices.values())

    @property
    def busy_here(self) -> tuple[Stream, ...]:
        """The busy streams on the current device."""
        return tuple(stream for stream in self.busy or () if stream[0] not in self.devices)


def wait_elsewhere(ask_streams: bool = True) -> Elsewhere:
    """Wait for all streams and devices. The timed stream must be done.

    Args:
        ask_streams: first ask torch's streams whether they have unfinished work. That takes some
            20 us per device, in which shorter work may end.
    """
    if not machine.cuda_is_up():
        machine.synchronize()
        return Elsewhere()
    start = machine.clock()
    busy = tuple(machine.busy_streams()) if ask_streams else None
    if not busy:
        start = machine.clock()
    current = machine.current_device()
    machine.synchronize_device(current)
    streams = machine.clock() - start
    devices = {}
    for device in machine.devices_in_use():
        if device != current:
            start = machine.clock()
            machine.synchronize_device(device)
            devices[device] = machine.clock() - start
    return Elsewhere(streams, devices, busy)


def typical(found: Sequence[Elsewhere]) -> Elsewhere:
    """Return the medians of several readings.

    Streams count as busy if most readings found busy streams. The most frequent ones come first.
    """
    if not found:
        return Elsewhere()
    devices = {device for one in found for device in one.devices}
    asked = [one.busy for one in found if one.busy is not None]
    is_busy = 2 * sum(map(bool, asked)) > len(asked)
    counts = Counter(stream for busy in asked for stream in busy if is_busy)
    return Elsewhere(
        float(np.median([one.streams for one in found])),
        {
            device: float(np.median([one.devices.get(device, 0.0) for one in found]))
            for device in sorted(devices)
        },
        tuple(stream for stream, _ in counts.most_common()) if asked else None,
        sum(one.readings for one in found),
    )


def judge_elsewhere(found: Sequence[Elsewhere], time: float, runs: int) -> list[TimingWarning]:
    """Return the warnings about work that went on after the timed stream was done.

    Args:
        found: the readings, one per batch or per held run.
        time: the median time of a run, in seconds.
        runs: how many runs came before each reading.
    """
    usual = typical(found)
    streams, devices = _beyond_noise(usual, time, runs)
    warnings = []
    if streams:
        warnings.append(
            TimingWarning(
                "other_streams",
                f"{_streams(usual, streams)} after the timed stream was done, and times do not "
                "include that work. Let the current stream wait for the work in fn, or use "
                "method='sync'.",
            )
        )
    if devices:
        first = next(iter(devices))
        warnings.append(
            TimingWarning(
                "other_devices",
                f"{_devices(usual, devices)} after the timed stream was done, and times do not "
                f"include that work. If fn works on one device, measure inside torch.cuda.device"
                f"({first}); otherwise let the current stream wait in fn, or use method='sync'.",
            )
        )
    return warnings


def judge_work(
    time: float, event_overhead: float, found: Sequence[Elsewhere]
) -> TimingWarning | None:
    """Return a warning if the timed stream saw no work.

    Args:
        time: the median reading without the event overhead, in seconds.
        event_overhead: what an empty run reads, in seconds.
        found: the readings, one per batch or per held run.
    """
    if abs(time) >= _NO_WORK:
        return None
    usual = typical(found)
    streams, devices = _beyond_noise(usual, time, 1)
    if devices:
        place = f"{_devices(usual, devices)}, so fn puts its work there: make that device current"
        remedy = f"torch.cuda.device({next(iter(devices))})"
    elif streams:
        place = f"{_streams(usual, streams)}, so fn puts its work there: make that stream current"
        remedy = "torch.cuda.stream"
    else:
        place = "fn puts no work on the device, or puts it on another stream or device: make that "
        place += "stream or device current"
        remedy = "torch.cuda.stream, torch.cuda.device"
    return TimingWarning(
        "no_device_work",
        "The timed stream saw no work beyond the event overhead of "
        f"{format_seconds(event_overhead)}. {place} ({remedy}), or use method='sync'.",
    )


def outside_capture(call: float, replay: float) -> TimingWarning:
    """Return the warning about work that a CUDA graph lacks. Times are in seconds.

    Args:
        call: from the beginning of a real call until all devices were idle.
        replay: the same for a replay.
    """
    return TimingWarning(
        "outside_capture",
        "fn puts work on streams or devices that the capture does not see, so replays lack it: a "
        f"call took {format_seconds(call)} until all devices were idle, a replay "
        f"{format_seconds(replay)}. Let fn fork from the current stream and join it again, or use "
        "method='event'.",
    )


def _beyond_noise(usual: Elsewhere, time: float, runs: int) -> tuple[float, dict[int, float]]:
    """Return how long other streams and other devices kept working, as far as that matters.

    If it seems to matter, waits for idle devices to learn how long that takes on this host.
    """
    noise = _WAKING_UP if usual.readings < SEVERAL else _WAKING_UP_IN_MOST
    in_row = max(noise, _SHARE * time * runs)
    # One unfinished run at the end of a row is enough if the host was not just late.
    limit = min(in_row, max(_BUSY, _SHARE * time)) if usual.busy else in_row
    if usual.streams <= limit and all(left <= in_row for left in usual.devices.values()):
        return 0.0, {}
    idle = _wait_for_idle()
    streams = max(0.0, usual.streams - idle.streams)
    devices = {index: left - idle.devices.get(index, 0.0) for index, left in usual.devices.items()}
    return (
        streams if streams > limit else 0.0,
        {index: left for index, left in devices.items() if left > in_row},
    )


def _wait_for_idle() -> Elsewhere:
    """Return how long it takes to wait for what is idle: the shortest of a few waits."""
    machine.synchronize()
    found = [wait_elsewhere(ask_streams=False) for _ in range(_IDLE_WAITS)]
    return Elsewhere(
        min(one.streams for one in found),
        {index: min(one.devices[index] for one in found) for index in found[0].devices},
    )


def _streams(usual: Elsewhere, time: float) -> str:
    """Return such as ``Stream 0x5581c0 of cuda:0 kept working for 2.000 ms``."""
    busy = usual.busy_here
    return _kept_working(describe_streams(busy) if busy else "other streams of the device", time)


def _devices(usual: Elsewhere, devices: Mapping[int, float]) -> str:
    """Return the same for other devices, or with their streams if all of these are known."""
    busy = [stream for stream in usual.busy or () if stream[0] in devices]
    is_known = {device for device, _ in busy} == set(devices)
    names = describe_streams(busy) if is_known else " and ".join(f"cuda:{each}" for each in devices)
    return _kept_working(names, max(devices.values()))


def _kept_working(names: str, time: float) -> str:
    names = names if names.startswith("cuda") else names[0].upper() + names[1:]
    return f"{names} kept working for {format_seconds(time)}"
