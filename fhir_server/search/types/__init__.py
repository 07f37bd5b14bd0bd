"""One file per search parameter type: how a query value becomes a predicate."""
