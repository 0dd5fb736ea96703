//! What accounts can be found by.

use mimi_pseudonym::UserUri;
use mimi_wire::{
    FieldSource, ProfileField, QueryElement, SearchField, UserProfile,
    local::{ProfileEntry, Visibility},
};

use super::{
    AccountId, Store, StoreError,
    database::{Db, Param, Row},
    parsed,
};

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

/// A value that a query is asked with.
enum Asked {
    Number(u8),
    Text(String),
}

/// What a pattern of LIKE has to be made of to find a text as a part.
fn part(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|letter| matches!(letter, '%' | '_' | '!').then_some('!').into_iter().chain([letter]))
        .collect();
    format!("%{escaped}%")
}

/// A part of a query, with `{}` for each value, and the values.
fn condition(element: &QueryElement, domain: &str) -> (&'static str, Vec<Asked>) {
    let folded = element.value.to_lowercase();
    let (kind, name) = key(&element.field);
    match &element.field {
        SearchField::Nick => (
            "((kind = 2 AND folded = {}) OR (kind = 1 AND folded = {})) AND visibility >= 2",
            vec![Asked::Text(folded.clone()), Asked::Text(format!("im:{folded}@{domain}"))],
        ),
        SearchField::PartialName => (
            "(is_name = 1 OR kind = 2) AND visibility = 3 AND folded LIKE {} ESCAPE '!'",
            vec![Asked::Text(part(&folded))],
        ),
        SearchField::WholeProfile => ("visibility = 3 AND folded LIKE {} ESCAPE '!'", vec![Asked::Text(part(&folded))]),
        SearchField::Handle | SearchField::Email => {
            ("kind = {} AND folded = {} AND visibility >= 2", vec![Asked::Number(kind), Asked::Text(folded)])
        }
        _ => (
            "kind = {} AND name = {} AND folded = {} AND value = {} AND visibility >= 2",
            vec![Asked::Number(kind), Asked::Text(name), Asked::Text(folded), Asked::Text(element.value.clone())],
        ),
    }
}

/// The query for users to whom every element leads, and its values.
fn search(elements: &[QueryElement], domain: &str) -> (String, Vec<Asked>) {
    let (mut parts, mut values) = (Vec::new(), Vec::new());
    for element in elements {
        let (condition, asked) = condition(element, domain);
        let mut condition = condition.to_owned();
        for value in asked {
            values.push(value);
            condition = condition.replacen("{}", &format!("?{}", values.len()), 1);
        }
        parts.push(format!("SELECT account FROM profile_fields WHERE {condition}"));
    }
    let (accounts, last) = (parts.join(" INTERSECT "), values.len() + 1);
    let sql = format!("SELECT id, user_uri FROM accounts WHERE id IN ({accounts}) ORDER BY user_uri LIMIT ?{last}");
    (sql, values)
}

impl Store {
    /// Sets what an account can be found by.
    pub(crate) fn set_profile(&self, account: AccountId, entries: &[ProfileEntry]) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("DELETE FROM profile_fields WHERE account = ?1", [account.0])?;
            let user: String = db.one("SELECT user_uri FROM accounts WHERE id = ?1", [account.0])?.get(0)?;
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
        let (sql, asked) = search(elements, domain);
        let values = asked.iter().map(|value| match value {
            Asked::Number(number) => Param::from(*number),
            Asked::Text(text) => Param::from(text),
        });
        let limit = Param::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
        let values: Vec<_> = values.chain([limit]).collect();
        self.read(|db| {
            let mut profiles = Vec::new();
            for row in db.rows(&sql, values.as_slice())? {
                let (account, user): (i64, String) = (row.get(0)?, row.get(1)?);
                let shown = "SELECT kind, name, value FROM profile_fields \
                             WHERE account = ?1 AND kind IN (7, 8) AND visibility = 3 ORDER BY kind, name, value";
                let field = |row: &Row| {
                    let source =
                        if row.get::<i64>(0)? == 7 { FieldSource::OidcStdClaim } else { FieldSource::VcardField };
                    Ok(ProfileField { source, name: row.get(1)?, value: row.get::<String>(2)?.into_bytes() })
                };
                let fields = db.rows(shown, [account])?.iter().map(field).collect::<Result<_, StoreError>>()?;
                profiles.push(UserProfile { stable_uri: parsed(&user, "user")?, fields });
            }
            Ok(profiles)
        })
    }
}

/// A new account is found by its whole handle, and by nothing else.
pub(super) fn insert_default(db: Db<'_>, account: AccountId, user: &UserUri) -> Result<(), StoreError> {
    let entry = ProfileEntry { field: SearchField::Handle, value: String::new(), visibility: Visibility::Exact };
    insert(db, account, user, &entry)
}

fn insert(db: Db<'_>, account: AccountId, user: &UserUri, entry: &ProfileEntry) -> Result<(), StoreError> {
    let (kind, name) = key(&entry.field);
    let value = if entry.field == SearchField::Handle { handle(user) } else { entry.value.clone() };
    let is_name = NAMES.contains(&(kind, name.as_str()));
    db.execute(
        "INSERT INTO profile_fields (account, kind, name, value, folded, visibility, is_name) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (account.0, kind, &name, &value, &value.to_lowercase(), entry.visibility.code(), is_name),
    )?;
    Ok(())
}
