//! accord.
