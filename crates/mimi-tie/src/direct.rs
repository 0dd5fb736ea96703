use mimi_pseudonym::{AccountLink, DecodeError, Reader, UserUri, Wire, Writer};

/// What stands beside a pseudonym with a direct tie: its account, in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectRow {
    account: UserUri,
}

impl DirectRow {
    /// The row for a pseudonym and its account.
    pub fn new(link: &AccountLink) -> Self {
        Self { account: link.account().clone() }
    }

    /// The account behind a pseudonym whose row this is; `None` if they are not of one provider.
    pub fn look_up(self, pseudonym: UserUri) -> Option<AccountLink> {
        AccountLink::new(self.account, pseudonym)
    }
}

impl std::fmt::Debug for DirectRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectRow(redacted)")
    }
}

impl Wire for DirectRow {
    const MAX_LEN: usize = 1024;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { account: reader.text("account")?.parse()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.vector(self.account.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_finds_the_account_and_debug_does_not() {
        let account: UserUri = "mimi://a.example/u/alice".parse().unwrap();
        let pseudonym = UserUri::pseudonym(account.domain(), [1; 16]);
        let link = AccountLink::new(account, pseudonym.clone()).unwrap();
        let row = DirectRow::decode(&DirectRow::new(&link).encode()).unwrap();
        assert_eq!(format!("{row:?}"), "DirectRow(redacted)");
        assert!(row.look_up(pseudonym) == Some(link));
    }
}
