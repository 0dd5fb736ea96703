//! Prints, for each way of tying, who can say which account is behind a pseudonym: tried out with what each party has.
//!
//! The tables in `docs/profile-ties.md` are this program's output, and a test holds them against it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod parties;

fn main() {
    print!("{}", parties::tables());
}
