"""Sightline's library: everything below the pages, without a browser."""
