# SPDX-License-Identifier: BSD-3-Clause
"""Sweeps: several callables over many sizes, with a verdict per point."""
