"""The decisions of the authorization server: clients, grants, tokens. One file per thing the standards name."""
