//! Each strategy's promise, and what holds under all of them.
