# SPDX-License-Identifier: BSD-3-Clause
"""Timelines as pictures, drawn with matplotlib."""
