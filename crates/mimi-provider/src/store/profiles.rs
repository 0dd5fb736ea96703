//! What accounts can be found by.

use mimi_pseudonym::UserUri;
use mimi_wire::{
    FieldSource, ProfileField, QueryElement, SearchField, UserProfile,
    local::{ProfileEntry, Visibility},
};
use rusqlite::{Transaction, types::Value};

use super::{AccountId, Store, StoreError, parsed};

/// Fields that hold a person's name, by OpenID Connect and by vCard.
const NAMES: [(u8, &str); 9] = [
    (7, "name"),
    (7, "given_name"),
    (7, "family_name"),
    (7, "middle_name"),
    (7, "nickname"),
    (7, "preferred_username"),
    (8, "fn"),
    (8, "n"),
    (8, "nickname"),
];

/// The number of a field in the draft's registry, and its name where it has one.
fn key(field: &SearchField) -> (u8, String) {
    match field {
        SearchField::Handle => (1, String::new()),
        SearchField::Nick => (2, String::new()),
        SearchField::Email => (3, String::new()),
        SearchField::Phone => (4, String::new()),
        SearchField::OidcStdClaim(name) => (7, name.to_ascii_lowercase()),
        SearchField::VcardField(name) => (8, name.to_ascii_lowercase()),
        _ => (0, String::new()),
    }
}

fn handle(user: &UserUri) -> String {
    format!("im:{}@{}", user.name(), user.domain())
}

/// A part of a query, and what it is asked with.
fn condition(element: &QueryElement, domain: &str) -> (&'static str, Vec<Value>) {
    let folded = element.value.to_lowercase();
    let (kind, name) = key(&element.field);
    match &element.field {
        SearchField::Nick => (
            "((kind = 2 AND folded = ?) OR (kind = 1 AND folded = ?)) AND visibility >= 2",
            vec![folded.clone().into(), format!("im:{folded}@{domain}").into()],
        ),
        SearchField::PartialName => {
            ("(is_name OR kind = 2) AND visibility = 3 AND instr(folded, ?) > 0", vec![folded.into()])
        }
        SearchField::WholeProfile => ("visibility = 3 AND instr(folded, ?) > 0", vec![folded.into()]),
        SearchField::Handle | SearchField::Email => {
            ("kind = ? AND folded = ? AND visibility >= 2", vec![i64::from(kind).into(), folded.into()])
        }
        _ => (
            "kind = ? AND name = ? AND folded = ? AND value = ? AND visibility >= 2",
            vec![i64::from(kind).into(), name.into(), folded.into(), element.value.clone().into()],
        ),
    }
}

impl Store {
    /// Sets what an account can be found by.
    pub(crate) fn set_profile(&self, account: AccountId, entries: &[ProfileEntry]) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("DELETE FROM profile_fields WHERE account = ?1", [account.0])?;
            let user: String =
                db.query_row("SELECT user FROM accounts WHERE id = ?1", [account.0], |row| row.get(0))?;
            let user = parsed(&user, "user")?;
            entries.iter().try_for_each(|entry| insert(db, account, &user, entry))
        })
    }

    /// The users that every element of a query leads to, with what they show: at most `limit`.
    pub(crate) fn find_users(
        &self,
        elements: &[QueryElement],
        domain: &str,
        limit: usize,
    ) -> Result<Vec<UserProfile>, StoreError> {
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        for element in elements {
            let (condition, asked) = condition(element, domain);
            parts.push(format!("SELECT account FROM profile_fields WHERE {condition}"));
            values.extend(asked);
        }
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let accounts = parts.join(" INTERSECT ");
        self.read(|db| {
            let sql = format!("SELECT id, user FROM accounts WHERE id IN ({accounts}) ORDER BY user LIMIT ?");
            let mut query = db.prepare_cached(&sql)?;
            let rows = query.query_map(rusqlite::params_from_iter(values), |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
            let found: Vec<_> = rows.collect::<Result<_, _>>()?;
            let mut shown = db.prepare_cached(
                "SELECT kind, name, value FROM profile_fields \
                 WHERE account = ?1 AND kind IN (7, 8) AND visibility = 3 ORDER BY kind, name, value",
            )?;
            let mut profiles = Vec::new();
            for (account, user) in found {
                let fields = shown.query_map([account], |row| {
                    let source =
                        if row.get::<_, i64>(0)? == 7 { FieldSource::OidcStdClaim } else { FieldSource::VcardField };
                    Ok(ProfileField { source, name: row.get(1)?, value: row.get::<_, String>(2)?.into_bytes() })
                })?;
                let fields = fields.collect::<Result<_, _>>()?;
                profiles.push(UserProfile { stable_uri: parsed(&user, "user")?, fields });
            }
            Ok(profiles)
        })
    }
}

/// A new account is found by its whole handle, and by nothing else.
pub(super) fn insert_default(db: &Transaction<'_>, account: AccountId, user: &UserUri) -> Result<(), StoreError> {
    let entry = ProfileEntry { field: SearchField::Handle, value: String::new(), visibility: Visibility::Exact };
    insert(db, account, user, &entry)
}

fn insert(db: &Transaction<'_>, account: AccountId, user: &UserUri, entry: &ProfileEntry) -> Result<(), StoreError> {
    let (kind, name) = key(&entry.field);
    let value = if entry.field == SearchField::Handle { handle(user) } else { entry.value.clone() };
    let is_name = NAMES.contains(&(kind, name.as_str()));
    let mut insert = db.prepare_cached(
        "INSERT INTO profile_fields (account, kind, name, value, folded, visibility, is_name) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute((account.0, kind, &name, &value, value.to_lowercase(), entry.visibility.code(), is_name))?;
    Ok(())
}
