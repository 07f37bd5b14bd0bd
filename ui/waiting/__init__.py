"""The waiting room: the board that calls, and the kiosk that gives tickets. Both are devices, not people."""
