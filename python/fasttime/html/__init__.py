# SPDX-License-Identifier: BSD-3-Clause
"""HTML that all results share: elements, style, fragments for notebooks, whole pages."""
