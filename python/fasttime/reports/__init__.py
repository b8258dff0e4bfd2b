# SPDX-License-Identifier: BSD-3-Clause
"""Reports: what scopes have measured."""
