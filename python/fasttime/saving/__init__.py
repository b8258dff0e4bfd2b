# SPDX-License-Identifier: BSD-3-Clause
"""Keep results in files: `Measurement.save`, `Comparison.save` and `fasttime.load`."""
