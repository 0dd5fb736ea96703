#![doc = include_str!("../README.md")]

mod backend;
mod binding;
mod commit;
mod crypto;
mod forgetful;
mod franking;
mod group;
mod hub;
mod hub_commit;
mod hub_info;
mod hub_join;
mod hub_log;
mod hub_propose;
mod hub_recover;
mod hub_remove;
mod hub_restore;
mod identity;
mod key_package;
mod known;
mod message;
mod moderation;
mod part;
mod preview;
mod proposal;
mod recovery;
#[cfg(feature = "count")]
mod rehearsal;
mod room;
mod roster;
mod seal;
mod seen;

pub use commit::{CommitBundle, CommitError, Wanted};
pub use franking::with_franking_agent;
pub use hub::{HubCreateError, HubRestoreError, HubRoom, Snapshot};
pub use hub_commit::{AcceptedCommit, CommitRefusal, Joined};
pub use hub_join::Admission;
pub use hub_propose::{AcceptedProposals, ProposalRefusal};
pub use hub_recover::{PastRoom, ReportRefusal};
pub use hub_remove::HubProposals;
pub use identity::{Identity, IdentityError};
pub use key_package::{
    KeyPackageError, KeyPackageRefusal, KeyPackageSecret, MAX_LIFETIME_SECS, NewKeyPackage, UnverifiedKeyPackage,
    VerifiedKeyPackage,
};
pub use message::{OpenError, Opened, SealError};
pub use moderation::{Moderated, Moderation};
pub use preview::{ExternalJoinError, PreviewError, RoomPreview, UnverifiedRoom};
pub use proposal::LeaveError;
#[cfg(feature = "count")]
pub use rehearsal::{Rehearsal, RehearsalError};
pub use room::{CreateError, FirstEpoch, JoinError, RestoreError, Room};
pub use seal::{HpkeError, HpkeKeyPair, open_with_label, seal_with_label};
