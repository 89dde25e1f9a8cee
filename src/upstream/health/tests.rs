//! What outlives a generation, what is told to other gates, and what attempts do to an endpoint's state.
