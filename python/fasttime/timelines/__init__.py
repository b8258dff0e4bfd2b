# SPDX-License-Identifier: BSD-3-Clause
"""Timelines: what host and device did in an interval, on one clock, and the files it goes to."""
