//! Message franking (draft-ietf-mimi-protocol-06, section 5.4.1): a stamp that the hub puts on a message it cannot read, and
//! by which it later recognises the message when somebody shows it in the clear.
//!
//! | who | does | with |
//! |---|---|---|
//! | sender | commits to the content under its salt | [`commit`] |
//! | hub | stamps commitment, sender, room and time | [`HubKeys::frank`] |
//! | receiver | checks all of it, keeps it as evidence | [`verify_received`] |
//! | hub | recognises what it stamped in a report | [`HubKeys::verify_report`] |

mod commit;
mod hub;
mod receive;
mod report;

pub use commit::{Committed, UncommittedError, commit};
pub use hub::{FrankError, HubKeys, MacKey};
pub use receive::{FrankedMessage, ReceiveError, verify_received};
pub use report::{EvidenceError, ReportError, VerifiedMessage, VerifiedReport};
