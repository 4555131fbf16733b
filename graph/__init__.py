"""How clients ask: the typed GraphQL graph."""
