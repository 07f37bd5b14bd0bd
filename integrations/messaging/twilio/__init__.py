"""SMS and WhatsApp by Twilio. https://www.twilio.com/docs/messaging"""
