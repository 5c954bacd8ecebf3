"""Alerts: which anomaly groups people are told about, where, and whether it arrived."""
