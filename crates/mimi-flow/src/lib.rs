#![doc = include_str!("../README.md")]

mod change;
mod command;
mod connect;
mod debug;
mod device;
mod disclose;
mod effect;
mod ending;
mod found;
mod inbox;
mod knocks;
mod leave;
mod links;
mod moderate;
mod moderators;
mod notice;
mod plan;
mod prepare;
mod report;
mod respond;
mod saved;
mod say;
mod steps;
mod visit;
mod wallet;

pub use command::{Command, CommandError};
pub use device::{Context, Device, Profile};
pub use effect::{Answer, Call, Effect, Event, EventId, FailureReason, FlowId, Request, RequestId, Verified};
pub use found::NewRoom;
pub use links::LinkState;
pub use moderate::Action;
pub use plan::Delays;
pub use saved::{Entry, RestoreError};
pub use visit::SeenRoom;
pub use wallet::PseudonymState;
