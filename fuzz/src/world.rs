//! One provider, one account and one pseudonym: what is signed here is signed by them.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use mimi_credential::{CertificateChain, Issuer, TrustStore, Validity};
use mimi_pseudonym::{
    ClaimName, Claims, ClientUri, Domain, MessageContext, Nonce, RoomUri, SignatureScheme, Signer, SigningKey,
    Timestamp, UserUri,
};

/// 2027-01-15.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const ALICE: &str = "mimi://a.example/u/alice";
pub const ROOM: &str = "mimi://hub.example/r/clubhouse";
pub const NONCE: [u8; 32] = [9; 32];
/// The `iss` of the provider's tokens.
pub const ISSUER: &str = "mimi://a.example";

pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub struct World {
    /// The key of the provider's anchor: of its leaf certificates and of its tokens.
    pub issuer_key: SigningKey,
    pub issuer: Issuer,
    /// The key of the pseudonym's leaf.
    pub holder_key: SigningKey,
    pub trust: TrustStore,
    pub leaf: CertificateChain,
    pub identity: CertificateChain,
    pub context: MessageContext,
}

pub fn validity() -> Validity {
    let day = Duration::from_secs(86_400);
    Validity { not_before: NOW.before(day), not_after: NOW.after(day * 30) }
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret(SignatureScheme::Ed25519, &[seed; 32]).expect("any seed is a key")
}

pub fn alice() -> Claims {
    let text = |text: &str| text.to_owned();
    [
        (ClaimName::UserUri, text(ALICE)),
        (ClaimName::Handle, text("im:alice@a.example")),
        (ClaimName::DisplayName, text("Alice Smith")),
        (ClaimName::Email, text("alice@mail.example")),
        (ClaimName::AgeOver18, text(ClaimName::TRUE)),
    ]
    .into_iter()
    .collect()
}

impl World {
    fn new() -> Self {
        let domain: Domain = "a.example".parse().expect("a domain");
        let (issuer_key, holder_key) = (key(1), key(2));
        let issuer = Issuer::create(domain.clone(), Arc::new(issuer_key.clone()), [1; 16], validity());
        let issuer = issuer.expect("an authority");
        let sender = (UserUri::pseudonym(&domain, [7; 16]), ClientUri::pseudonym(&domain, [8; 16]));
        let public = holder_key.public_key().clone();
        let leaf = issuer.issue_leaf(&sender.0, &sender.1, &public, [3; 16], validity()).expect("a leaf");
        let identity = issuer.issue_identity(&alice(), &public, [4; 16], validity()).expect("an identity");
        let trust = TrustStore::default().with_anchor(issuer.certificate(), [domain]).expect("an anchor");
        let room: RoomUri = ROOM.parse().expect("a room");
        let context =
            MessageContext::dangerous_new(room, 7, sender, public, leaf.clone().into(), Nonce::from_bytes(NONCE));
        Self { issuer_key, issuer, holder_key, trust, leaf, identity, context }
    }
}
