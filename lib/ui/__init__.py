"""Everything that draws: the guard, the frame of a page, charts, tables and shared engines."""

from lib.ui.frame import header, navigate
from lib.ui.guard import Visit, guard
from lib.ui.markdown import escape
from lib.ui.sources import source

__all__ = ["Visit", "escape", "guard", "header", "navigate", "source"]
