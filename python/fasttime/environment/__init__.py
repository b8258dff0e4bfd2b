# SPDX-License-Identifier: BSD-3-Clause
"""The machine, the versions and the settings behind a result."""
