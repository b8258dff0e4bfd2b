# SPDX-License-Identifier: BSD-3-Clause
"""Reports: the statistics of scopes, as values that print, save, merge and subtract."""
