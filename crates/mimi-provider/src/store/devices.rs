//! The devices of an account: which there are, and the end of one that is lost.

use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, UserUri};

use super::{AccountId, DeviceId, Hash, Store, StoreError, database::Db, deletion::OF_DEVICE, parsed};

impl Store {
    /// The devices of an account with their names, in the order in which they were added.
    pub(crate) fn devices_of(&self, account: AccountId) -> Result<Vec<(ClientUri, String)>, StoreError> {
        self.look(|db| {
            let rows = db.rows("SELECT client, name FROM devices WHERE account = ?1 ORDER BY id", [account.0])?;
            rows.iter().map(|row| Ok((parsed(&row.get::<String>(0)?, "client")?, row.get(1)?))).collect()
        })
    }

    /// The clients that a device of the account is under each of the account's names. `None` if there is no such device.
    pub(crate) fn clients_of(
        &self,
        account: AccountId,
        client: &ClientUri,
    ) -> Result<Option<Vec<(UserUri, ClientUri)>>, StoreError> {
        self.look(|db| {
            let Some(device) = device_in(db, account, client)? else { return Ok(None) };
            let question = "SELECT user_uri, client FROM client_pseudonyms WHERE device = ?1 \
                            UNION ALL SELECT a.user_uri, d.client FROM devices d JOIN accounts a ON a.id = d.account \
                            WHERE d.id = ?1 ORDER BY 1, 2";
            let clients = db.rows(question, [device.0])?;
            let clients = clients
                .iter()
                .map(|row| Ok((parsed(&row.get::<String>(0)?, "user")?, parsed(&row.get::<String>(1)?, "client")?)));
            clients.collect::<Result<_, _>>().map(Some)
        })
    }

    /// Ends a device of the account, other than the one that asks: its token, inbox, KeyPackages and clients. In rooms they
    /// stay until somebody removes them. Of the account's enrolment codes a new one is left. `false` if there is no such device.
    pub(crate) fn remove_device(
        &self,
        by: &super::Device,
        client: &ClientUri,
        code: &Hash,
    ) -> Result<bool, StoreError> {
        let removed = self.write(|db| {
            let Some(device) = device_in(db, by.account, client)?.filter(|device| *device != by.id) else {
                return Ok::<_, StoreError>(None);
            };
            for statement in OF_DEVICE {
                db.execute(statement, [device.0])?;
            }
            db.execute("DELETE FROM enrolments WHERE account = ?1", [by.account.0])?;
            db.execute("INSERT INTO enrolments (code_hash, account) VALUES (?1, ?2)", (code, by.account.0))?;
            // Other processes look again whose token they are shown.
            db.execute("UPDATE numbers SET newest = newest + 1 WHERE kind = 'deleted'", [0_i64; 0])?;
            Ok(Some(device))
        })?;
        if let Some(device) = removed {
            self.forget_devices();
            self.live().end(&BTreeSet::from([device]));
        }
        Ok(removed.is_some())
    }
}

fn device_in(db: Db<'_>, account: AccountId, client: &ClientUri) -> Result<Option<DeviceId>, StoreError> {
    let question = "SELECT id FROM devices WHERE client = ?1 AND account = ?2";
    Ok(db.value(question, (client.as_str(), account.0))?.map(DeviceId))
}
