# SPDX-License-Identifier: BSD-3-Clause
"""Integrations: fasttime inside training frameworks."""
