//! SD-JWT: the examples of RFC 9901, accept and reject cases, every step of section 7, bad input, holding, issuing, and
//! other implementations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bad_input;
mod binding;
mod disclosures;
mod forge;
mod headers;
mod hold;
mod peers;
mod rfc;
mod token;
