//! What several fuzz targets share.

pub mod hostile;
pub mod keys;
pub mod web;
