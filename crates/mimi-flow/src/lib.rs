#![doc = include_str!("../README.md")]

mod change;
mod command;
mod connect;
mod consent;
mod debug;
mod device;
mod disclose;
mod effect;
mod ending;
mod found;
mod inbox;
mod keep;
mod knocks;
mod moderate;
mod moderators;
mod notice;
mod plan;
mod prepare;
mod records;
mod respond;
mod saved;
mod say;
mod steps;
mod wallet;

pub use command::{Command, CommandError};
pub use consent::Consent;
pub use device::{Context, Device, Profile};
pub use effect::{Answer, Call, Effect, Event, EventId, FailureReason, FlowId, Request, RequestId, Verified};
pub use found::NewRoom;
pub use moderate::Action;
pub use plan::{Delays, Stock};
pub use records::Vault;
pub use saved::{Changes, Entry, RestoreError};
pub use wallet::PseudonymState;
