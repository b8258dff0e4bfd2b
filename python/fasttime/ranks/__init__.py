# SPDX-License-Identifier: BSD-3-Clause
"""What the ranks of a distributed job measured, side by side."""
