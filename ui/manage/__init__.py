"""For who leads the clinic: today's figures, services, hours, staff, queues, messages."""
