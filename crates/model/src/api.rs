//! The texts of `/api/v1`: what its client and its server both read and write.
