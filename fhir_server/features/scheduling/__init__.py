"""Booking: what can be booked when, holding, booking, changing and cancelling it; series, wait lists, calendars."""
