"""The agenda: weeks and days of practitioners and rooms, where visits are booked, moved and cancelled."""
