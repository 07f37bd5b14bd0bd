"""E-mail by SMTP, RFC 5321."""
