//! What the fuzz targets do, and what they begin with.
//!
//! Each module has `run`, which says whether the input went all the way through, and `seeds`, inputs that do. A target
//! never panics; beside that, what is read is written and read alike, and what is accepted keeps the rules that it was
//! accepted for. Inputs behind a signature are signed here, with keys that are known, since a fuzzer finds no signature.

pub mod chunks;
pub mod content;
pub mod room;
pub mod sd_cwt;
pub mod sd_jwt;
pub mod uris;
pub mod wire;
pub mod world;
pub mod x509;

/// What feeds a target.
pub type Run = fn(&[u8]) -> bool;
/// What a target begins with.
pub type Seeds = fn() -> Vec<Vec<u8>>;

/// Every target by its name.
pub const TARGETS: [(&str, Run, Seeds); 7] = [
    ("content", content::run, content::seeds),
    ("room", room::run, room::seeds),
    ("sd_cwt", sd_cwt::run, sd_cwt::seeds),
    ("sd_jwt", sd_jwt::run, sd_jwt::seeds),
    ("uris", uris::run, uris::seeds),
    ("wire", wire::run, wire::seeds),
    ("x509", x509::run, x509::seeds),
];
