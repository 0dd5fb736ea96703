#![doc = include_str!("../README.md")]

mod act_only;
mod direct;
mod keys;
mod quota;
mod tie;
mod way;

#[cfg(feature = "blind")]
pub mod blind;
#[cfg(feature = "log")]
pub mod break_glass;
#[cfg(feature = "threshold")]
pub mod operators;
#[cfg(any(feature = "blind", feature = "threshold"))]
mod random;
#[cfg(feature = "threshold")]
pub mod score;

pub use act_only::{ActError, ActKey, ActRow};
pub use direct::DirectRow;
pub use quota::{Period, Quota, QuotaError};
pub use tie::{BindError, Tie, TieRow};
pub use way::{Way, WayError};
