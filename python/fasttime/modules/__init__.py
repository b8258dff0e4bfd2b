# SPDX-License-Identifier: BSD-3-Clause
"""Times of the modules of a model, and of the steps that train it."""
