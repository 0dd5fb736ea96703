//! The flows between two providers, end to end: real processes, real TLS, and what they sent each other.
//!
//! A [`scenario`] starts providers in a folder of its own ([`fixture`], [`process`]). They write down every exchange
//! ([`record`]), from which come the ladder diagram ([`ladder`]), the table of what each provider could see ([`sight`])
//! and the costs ([`mod@bench`]). What messages cost under load is measured without any recording ([`load`]).

pub mod alone;
pub mod bench;
pub mod call;
pub mod faulty;
pub mod fixture;
pub mod interrupt;
pub mod ladder;
pub mod load;
pub mod people;
#[path = "../../crates/mimi-provider/tests/support/postgres.rs"]
mod postgres;
pub mod process;
pub mod record;
pub mod scenario;
pub mod sight;
