"""The patient's own pages, made for a phone; the page behind a ticket's secret link; what makes them an app."""
