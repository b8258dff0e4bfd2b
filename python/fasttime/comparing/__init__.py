# SPDX-License-Identifier: BSD-3-Clause
"""Comparisons of callables, of methods, and of saved measurements."""
