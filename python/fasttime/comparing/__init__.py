# SPDX-License-Identifier: BSD-3-Clause
"""Tell which method reads right, and which callable is faster: `fasttime.compare`."""
