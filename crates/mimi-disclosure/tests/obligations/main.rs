//! The six obligations of draft-mahy-mimi-pseudonyms-00, section 4: each one met, and each one broken, in both suites.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod cwt;
mod formats;
mod issuer;
mod sender;
mod verify;
mod world;
