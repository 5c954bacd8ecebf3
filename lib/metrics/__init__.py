"""Measures over time: datasets, detectors, the few events that matter, and alerts about them."""
