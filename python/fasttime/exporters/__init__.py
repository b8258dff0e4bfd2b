# SPDX-License-Identifier: BSD-3-Clause
"""Exporters: they send reports to Prometheus, OpenTelemetry and TensorBoard."""
