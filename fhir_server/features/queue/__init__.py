"""Waiting queues: rules, order, tickets, and what people see of them."""
