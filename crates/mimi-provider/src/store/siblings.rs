//! The devices of one account: what a device that is added is told of the others, and what they are told of it.

use std::collections::BTreeSet;

use mimi_pseudonym::{UserUri, Wire};
use mimi_wire::local::InboxBody;

use super::{AccountId, DeviceId, StoreError, StoredKeyPackage, database::Db, mail::put_in_inbox, parsed};

/// The most pseudonyms of one event.
const CHUNK: usize = 1000;

/// Tells a device that has just been added which pseudonyms the account has: those that are names in rooms, and those for
/// which KeyPackages can be had. Others have served.
pub(super) fn greet(db: Db<'_>, account: AccountId, device: DeviceId) -> Result<(), StoreError> {
    let question = "SELECT pseudonym FROM pseudonyms WHERE account = ?1 AND (\
                    EXISTS (SELECT 1 FROM key_packages WHERE owner = pseudonym AND initial_only = 0 AND claimed = 0) \
                    OR EXISTS (SELECT 1 FROM client_pseudonyms JOIN room_clients \
                    ON room_clients.client = client_pseudonyms.client WHERE user_uri = pseudonym)) ORDER BY pseudonym";
    let found: Vec<String> = db.column(question, [account.0])?;
    let found = found.iter().map(|text| parsed(text, "pseudonym")).collect::<Result<Vec<UserUri>, _>>()?;
    for chunk in found.chunks(CHUNK) {
        let body = InboxBody::PseudonymsAssigned { pseudonyms: chunk.to_vec() };
        put_in_inbox(db, device, None, &body.encode())?;
    }
    Ok(())
}

/// Tells the devices that are in a room under a pseudonym that another device of the account has KeyPackages for it, and is
/// not in that room.
pub(super) fn announce(
    db: Db<'_>,
    device: DeviceId,
    key_packages: &[StoredKeyPackage],
) -> Result<BTreeSet<DeviceId>, StoreError> {
    let question = "SELECT DISTINCT room_clients.device FROM client_pseudonyms JOIN room_clients \
                    ON room_clients.client = client_pseudonyms.client \
                    WHERE user_uri = ?1 AND room_clients.device <> ?2 AND NOT EXISTS (\
                    SELECT 1 FROM room_clients AS own JOIN client_pseudonyms AS as_user ON as_user.client = own.client \
                    WHERE own.room = room_clients.room AND own.device = ?2 AND as_user.user_uri = ?1)";
    let usable = key_packages.iter().filter(|one| !one.initial_only && one.owner.is_pseudonym());
    let owners: BTreeSet<_> = usable.map(|one| &one.owner).collect();
    let mut told = BTreeSet::new();
    for owner in owners {
        let body = InboxBody::SiblingReady { user: owner.clone() }.encode();
        for sibling in db.column(question, (owner.as_str(), device.0))?.into_iter().map(DeviceId) {
            put_in_inbox(db, sibling, None, &body)?;
            told.insert(sibling);
        }
    }
    Ok(told)
}
