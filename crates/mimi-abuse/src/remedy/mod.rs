//! Remedies that need the user's own provider (draft-mahy-mimi-pseudonyms-00, section 5.2): what a hub asks for, how the
//! home provider decides, and when what it decides may show. The profile is described in `docs/profile-remedy.md`.

mod home;
mod removal;
mod request;
mod schedule;
mod signed;

pub use home::{HomeDecision, HomePolicy, HomeRemedy, PeerPolicy, PolicyError, Received};
pub use removal::{RemovalRefusal, RemovalRequest, RemovalRequestError, RemovalRequestTbs, UnverifiedRemovalRequest};
pub use request::{
    RemedyReceipt, RemedyRefusal, RemedyRequest, RemedyRequestError, RemedyRequestTbs, UnverifiedRemedyRequest, Wanted,
};
pub use schedule::{Plan, PlanError};
