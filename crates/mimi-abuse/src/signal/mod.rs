//! Detection signals (draft-mahy-mimi-pseudonyms-00, section 5.1): facts that speak against a user, a table that says how
//! much each weighs and for how long, and decisions that can be explained from the facts alone.

mod decide;
mod fact;
mod rate;
mod table;

pub use decide::{Decision, Share};
pub use fact::{Fact, SignalKind, Source};
pub use rate::RateMeter;
pub use table::{Rates, Remedy, Step, Table, TableError, Weight};
