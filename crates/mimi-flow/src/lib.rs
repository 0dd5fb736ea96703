#![doc = include_str!("../README.md")]

mod connect;
mod debug;
mod device;
mod effect;
mod ending;
mod inbox;
mod plan;
mod prepare;
mod respond;
mod saved;
mod say;
mod steps;
mod wallet;

pub use device::{Command, CommandError, Context, Device, Profile};
pub use effect::{Answer, Call, Effect, Event, EventId, FailureReason, FlowId, Request, RequestId, Verified};
pub use plan::Delays;
pub use saved::{Entry, RestoreError};
pub use wallet::PseudonymState;
