# SPDX-License-Identifier: BSD-3-Clause
"""Time one callable: `fasttime.measure`."""
