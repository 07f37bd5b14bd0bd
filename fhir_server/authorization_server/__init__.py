"""OAuth 2, OpenID Connect and SMART App Launch over HTTP, with the pages of signing in: `/t/{tenant}/oauth/…`."""
