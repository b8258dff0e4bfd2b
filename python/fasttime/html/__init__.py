# SPDX-License-Identifier: BSD-3-Clause
"""HTML that every result shares: elements, the style, fragments for notebooks, whole pages."""
