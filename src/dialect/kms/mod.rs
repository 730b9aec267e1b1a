//! The HTTP APIs of key services, for key administrators. Nothing is served here yet.
