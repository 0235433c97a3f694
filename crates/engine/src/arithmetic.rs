//! Computing on Shamir shares: the semi-honest arithmetic core.
