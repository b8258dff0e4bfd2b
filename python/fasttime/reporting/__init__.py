# SPDX-License-Identifier: BSD-3-Clause
"""What a recorder has found, and how it is shown: `fasttime.report`."""
