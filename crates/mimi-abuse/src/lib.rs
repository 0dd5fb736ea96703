#![doc = include_str!("../README.md")]

pub mod franking;
pub mod remedy;
pub mod signal;
