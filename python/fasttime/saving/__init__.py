# SPDX-License-Identifier: BSD-3-Clause
"""Keep results in files, and read them again: `fasttime.load`."""
