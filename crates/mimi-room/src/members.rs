use std::collections::{BTreeMap, BTreeSet};

use mimi_pseudonym::{ClientUri, UserUri};

use crate::Refusal;

/// The clients in a room's group and the users they belong to; no client is in it twice. Finding one takes little time
/// in a large room, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    users: BTreeMap<UserUri, BTreeSet<ClientUri>>,
    clients: BTreeMap<ClientUri, UserUri>,
}

/// Nobody: what a change has that does not say otherwise.
static NOBODY: Members = Members { users: BTreeMap::new(), clients: BTreeMap::new() };

impl Default for &Members {
    fn default() -> Self {
        &NOBODY
    }
}

impl Members {
    /// These clients.
    ///
    /// # Errors
    /// [`Refusal::ClientTwice`]
    pub fn new(members: impl IntoIterator<Item = (UserUri, ClientUri)>) -> Result<Self, Refusal> {
        let mut all = Self::default();
        for (user, client) in members {
            if !all.insert(user, client) {
                return Err(Refusal::ClientTwice);
            }
        }
        Ok(all)
    }

    /// Puts a client in; false, and nothing is changed, if it is there already, whoever's it is.
    pub fn insert(&mut self, user: UserUri, client: ClientUri) -> bool {
        if self.clients.contains_key(&client) {
            return false;
        }
        self.users.entry(user.clone()).or_default().insert(client.clone());
        self.clients.insert(client, user);
        true
    }

    /// Takes a client out; whose it was, if it was there.
    pub fn remove(&mut self, client: &ClientUri) -> Option<UserUri> {
        let user = self.clients.remove(client)?;
        if let Some(clients) = self.users.get_mut(&user) {
            clients.remove(client);
            if clients.is_empty() {
                self.users.remove(&user);
            }
        }
        Some(user)
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whose client it is; none if it is not there.
    pub fn user_of(&self, client: &ClientUri) -> Option<&UserUri> {
        self.clients.get(client)
    }

    /// The clients of a user, in ascending order.
    pub fn of(&self, user: &UserUri) -> impl Iterator<Item = &ClientUri> {
        self.users.get(user).into_iter().flatten()
    }

    /// How many clients a user has.
    pub fn count(&self, user: &UserUri) -> usize {
        self.users.get(user).map_or(0, BTreeSet::len)
    }

    /// The users who have clients, in ascending order.
    pub fn users(&self) -> impl Iterator<Item = &UserUri> {
        self.users.keys()
    }

    /// Users and clients, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (&UserUri, &ClientUri)> {
        self.users.iter().flat_map(|(user, clients)| clients.iter().map(move |client| (user, client)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(user: &str, client: &str) -> (UserUri, ClientUri) {
        (format!("mimi://a.example/u/{user}").parse().unwrap(), format!("mimi://a.example/d/{client}").parse().unwrap())
    }

    #[test]
    fn both_ways_of_looking_agree() {
        let (first, second, other) = (member("alice", "1"), member("alice", "2"), member("bob", "3"));
        let mut members = Members::new([second.clone(), other.clone(), first.clone()]).unwrap();
        assert_eq!((members.len(), members.count(&first.0), members.count(&other.0)), (3, 2, 1));
        assert!(members.of(&first.0).eq([&first.1, &second.1]));
        assert_eq!(members.user_of(&other.1), Some(&other.0));
        assert!(members.iter().eq([(&first.0, &first.1), (&second.0, &second.1), (&other.0, &other.1)]));
        assert!(members.users().eq([&first.0, &other.0]));

        assert_eq!(members.remove(&other.1), Some(other.0.clone()));
        assert_eq!((members.remove(&other.1), members.count(&other.0)), (None, 0));
        assert!(members.users().eq([&first.0]));
        members.remove(&first.1);
        members.remove(&second.1);
        assert!(members.is_empty() && members == Members::default() && <&Members>::default().is_empty());
    }

    #[test]
    fn no_client_is_there_twice() {
        let (one, taken) = (member("alice", "1"), member("bob", "1"));
        assert_eq!(Members::new([one.clone(), one.clone()]), Err(Refusal::ClientTwice));
        let mut members = Members::new([one.clone()]).unwrap();
        assert!(!members.insert(taken.0.clone(), taken.1));
        assert_eq!((members.user_of(&one.1), members.count(&taken.0)), (Some(&one.0), 0));
    }
}
