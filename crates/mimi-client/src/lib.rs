#![doc = include_str!("../README.md")]

mod client;
mod detach;
mod download;
mod register;
mod store;
mod system;
mod taken;
mod tokens;
mod transport;

pub use client::{Client, ClientError, Surroundings};
pub use detach::Opening;
pub use register::Account;
pub use store::{DatabaseError, StoreError, StoreKey};
pub use system::{SystemClock, SystemEntropy};
pub use tokens::PseudonymToken;
pub use transport::{ProviderAddress, TransportError};
