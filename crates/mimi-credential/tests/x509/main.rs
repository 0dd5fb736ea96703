//! Certificates from an issuer of this crate, and from another implementation, good and bad.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod forge;
mod identity;
mod issuer;
mod leaf;
mod room;
mod trust;
