"""A provider of SMS and WhatsApp that sends nothing."""
