"""The front door: routes to the pages. Nothing else."""

from lib import ui

ui.navigate()
