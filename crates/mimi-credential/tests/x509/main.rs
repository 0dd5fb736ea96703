//! Certificates from an issuer of this crate, and from another implementation, good and bad.

mod forge;
mod identity;
mod issuer;
mod leaf;
mod trust;
