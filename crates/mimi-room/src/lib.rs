#![doc = include_str!("../README.md")]

mod apply;
mod at;
mod authorise;
mod bans;
mod capability;
mod change;
mod check;
mod component;
mod effects;
mod entry;
mod join;
mod link;
mod metadata;
mod parent;
mod participants;
mod policy;
mod preauth;
mod presets;
mod refusal;
mod roles;
mod state;
mod update;
mod with;

pub use at::RoomAt;
pub use bans::TemporaryBans;
pub use capability::Capability;
pub use change::{Actor, Change, ClientRef, ComponentUpdate, How, Operation, Step};
pub use component::{ComponentId, KeyPackagePurpose, RoomPurpose};
pub use link::NewLink;
pub use metadata::{RichDescription, RoomMetadata};
pub use participants::{Participant, ParticipantList, ParticipantListUpdate, RoleAssignment};
pub use policy::{BaseRoomPolicy, JoinLinkPolicy};
pub use preauth::{Claim, PreauthEntry, PreauthList};
pub use refusal::{Constraint, Refusal};
pub use roles::{Role, RoleChange, Roles};
pub use state::{RoomState, StateError};
