//! Claims about the mock.
