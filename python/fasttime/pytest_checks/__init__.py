# SPDX-License-Identifier: BSD-3-Clause
"""What the fixtures of the pytest plugin do. The module ``fasttime_pytest`` is the plugin."""
