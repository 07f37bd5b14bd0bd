"""The blueprints of this room."""

from ui.waiting import board, kiosk

BLUEPRINTS = (board.bp, kiosk.bp)
