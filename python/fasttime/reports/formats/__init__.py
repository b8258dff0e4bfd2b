# SPDX-License-Identifier: BSD-3-Clause
"""Formats of a report, one module each. Every format takes a report and returns text or data."""
