"""What happens after a change: its followers, the wake-up that tells them, and the streams that tell the world."""
