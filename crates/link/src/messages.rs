//! The messages that gateway and party exchange over control links.
