//! The six obligations of draft-mahy-mimi-pseudonyms-00, section 4: each one met, and each one broken, in both suites.

mod sender;
mod verify;
mod world;
