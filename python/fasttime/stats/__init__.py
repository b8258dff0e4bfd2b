# SPDX-License-Identifier: BSD-3-Clause
"""Every statistical formula, on numpy arrays alone."""
