//! The tables in the documentation are what the example program prints.

#![cfg(all(feature = "blind", feature = "threshold"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;
#[path = "../examples/who_learns/parties.rs"]
mod parties;

const BEGIN: &str = "<!-- printed by `cargo run -p mimi-tie --example who_learns` -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_tables_of_who_learns_what_are_those_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/profile-ties.md");
    let text = std::fs::read_to_string(path).unwrap();
    let written = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).unwrap().0;
    assert_eq!(written.trim(), parties::tables().trim());
}
