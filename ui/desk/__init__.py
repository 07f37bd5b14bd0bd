"""The reception: the day on one screen, finding and registering patients, queues, tickets and payments."""
