#![doc = include_str!("../README.md")]

mod code;
mod hub;
mod link;
mod qr;

pub use code::{JoinCode, JoinCodeHash};
pub use hub::HubFingerprint;
pub use link::{JoinLink, KnockLink, LinkError, RoomLink};
pub use qr::{Qr, QrError};
