# SPDX-License-Identifier: BSD-3-Clause
"""The version. This is the only place that states it."""

__version__ = "0.1.0"
