"""What is served over HTTP beside FHIR, under secret links and for streams: calendars, tickets, messages, events."""
