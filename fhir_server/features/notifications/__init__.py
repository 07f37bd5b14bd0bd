"""Messages to people: what is told to whom, when, in which words and language, and how it gets there."""
