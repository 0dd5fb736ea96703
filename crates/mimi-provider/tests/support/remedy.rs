//! What a hub asks a user's provider for.

use mimi_abuse::{
    franking::commit,
    remedy::{RemedyRequestTbs, Wanted},
};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Entropy, SigningKey, Timestamp, UserUri};
use mimi_wire::{AbusiveMessage, Frank, Wire};

use super::{SUITE, World, domain};

/// A message of a user, with a stamp that only its hub could check.
pub fn shown(sender: &UserUri) -> AbusiveMessage {
    let body = Part::single(Disposition::Render, "text/plain", "spam");
    let room = "mimi://b.example/r/club".parse().unwrap();
    let content = MimiContent::new(Salt::generate(&mut OsEntropy), sender.clone(), room, body).unwrap();
    AbusiveMessage {
        message_content: commit(&content).0.encode(),
        frank: Frank { server_frank: [3; 32], cipher_suite: SUITE, integrity_signature: vec![4; 64] },
        accepted: Timestamp::from_secs(1),
    }
}

/// What b.example asks a.example for, about a user of a.example.
pub fn tbs(world: &World, about: &UserUri, wanted: Wanted) -> RemedyRequestTbs {
    RemedyRequestTbs {
        id: OsEntropy.bits128(),
        hub: domain("b.example"),
        subject: about.clone(),
        wanted,
        related: false,
        made_at: world.present(),
        note: String::new(),
        evidence: if wanted == Wanted::Reversal { vec![] } else { vec![shown(about)] },
    }
}

/// The key that b.example signs with as a hub: read from its files, as the hub itself does.
pub fn key_of_b(world: &World) -> SigningKey {
    let db = rusqlite::Connection::open(world.folder.join("b.example/data/provider.sqlite")).unwrap();
    let secret: Vec<u8> =
        db.query_row("SELECT secret FROM hub_keys WHERE suite = ?1", [SUITE.code()], |row| row.get(0)).unwrap();
    SigningKey::from_secret(SUITE.signature_scheme(), &secret.try_into().unwrap()).unwrap()
}
