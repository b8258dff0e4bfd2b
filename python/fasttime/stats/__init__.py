# SPDX-License-Identifier: BSD-3-Clause
"""Every statistical formula: numpy arrays in, numbers out. No warnings and no text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]  # one duration per run, in seconds
