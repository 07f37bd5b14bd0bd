"""The design system: every part of the pages on one page, and the contrast of its colours."""
