# SPDX-License-Identifier: BSD-3-Clause
"""One file per output format of a report."""
