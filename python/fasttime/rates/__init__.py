# SPDX-License-Identifier: BSD-3-Clause
"""How much work a call does per second, and how close that comes to what the GPU can do."""
