# SPDX-License-Identifier: BSD-3-Clause
"""Scopes inside torch.compile regions."""
