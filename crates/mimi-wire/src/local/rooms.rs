use mimi_pseudonym::{ClientUri, DecodeError, Domain, RoomUri, Timestamp, UserUri};

use crate::{
    codec::{check_count, wire_struct},
    identifier::IdentifierRequest,
    key_material::UnverifiedKeyMaterialRequest,
    mls::{GroupInfo, KeyPackage, RatchetTree},
};

/// Leaves key packages with the provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadKeyPackages {
    /// The account or pseudonym under which they can be claimed.
    pub owner: UserUri,
    /// The key packages: 1 to 1,000.
    pub key_packages: Vec<KeyPackage>,
}

wire_struct!(UploadKeyPackages, 1 << 24, { owner, key_packages: list }, |upload| {
    check_count(&upload.key_packages, 1..=1000, "key_packages")
});

/// Leaves key packages of several users with the provider, each in place of those of the same user and device that nobody
/// has claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadBatch {
    /// The users, each once, and their key packages: 1 to 1,000 key packages in all.
    pub uploads: Vec<UploadKeyPackages>,
}

impl UploadBatch {
    /// The most key packages of one batch.
    pub const MAX: usize = 1000;

    /// Puts uploads together into as few batches as they fit into.
    pub fn split(uploads: Vec<UploadKeyPackages>) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        let mut room = 0;
        for upload in uploads {
            let count = upload.key_packages.len();
            match batches.last_mut() {
                Some(batch) if count <= room => {
                    room -= count;
                    batch.uploads.push(upload);
                }
                _ => {
                    room = Self::MAX.saturating_sub(count);
                    batches.push(Self { uploads: vec![upload] });
                }
            }
        }
        batches
    }
}

wire_struct!(UploadBatch, 1 << 24, { uploads: list }, |batch| {
    check_count(&batch.uploads, 1..=UploadBatch::MAX, "uploads")?;
    let mut owners: Vec<_> = batch.uploads.iter().map(|upload| &upload.owner).collect();
    owners.sort();
    if owners.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(DecodeError::Rule { field: "uploads", rule: "a user stands twice" });
    }
    match batch.uploads.iter().map(|upload| upload.key_packages.len()).sum::<usize>() {
        0..=UploadBatch::MAX => Ok(()),
        _ => Err(DecodeError::Rule { field: "uploads", rule: "more than 1000 key packages" }),
    }
});

/// How many key packages were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UploadResponse {
    /// The count.
    pub accepted: u32,
}

wire_struct!(UploadResponse, 4, { accepted });

/// Claims key packages of the account's own devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimOwnRequest {
    /// The account, or one of its pseudonyms.
    pub user: UserUri,
    /// Codes of the cipher suites that will do: 1 to 256.
    pub cipher_suite_codes: Vec<u16>,
    /// A client to leave out: the one that asks.
    pub exclude: Option<ClientUri>,
}

wire_struct!(ClaimOwnRequest, 1 << 13, { user, cipher_suite_codes: list, exclude: optional }, |request| {
    check_count(&request.cipher_suite_codes, 1..=256, "cipher_suite_codes")
});

/// Opens a room whose hub is the client's own provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateRoomRequest {
    /// The room.
    pub room: RoomUri,
    /// The group info of its first epoch, without the tree.
    pub group_info: GroupInfo,
    /// The tree.
    pub ratchet_tree: RatchetTree,
}

wire_struct!(CreateRoomRequest, 18 << 20, { room, group_info, ratchet_tree }, |request| {
    request.group_info.check_without_tree()
});

/// When the provider accepted what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The time.
    pub accepted: Timestamp,
}

wire_struct!(Accepted, 8, { accepted });

/// Claims key material through the hub of the room it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubKeyMaterialRequest {
    /// The hub's domain; the client's own provider if absent.
    pub hub: Option<Domain>,
    /// The request, signed.
    pub request: UnverifiedKeyMaterialRequest,
}

wire_struct!(HubKeyMaterialRequest, 1 << 18, { hub: optional, request });

/// Looks for users of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalIdentifierQuery {
    /// The provider's domain.
    pub domain: Domain,
    /// The query.
    pub request: IdentifierRequest,
}

wire_struct!(LocalIdentifierQuery, 1 << 19, { domain, request });
