use mimi_pseudonym::{DecodeError, Reader, Timestamp, UserUri, Wire, Writer};

use crate::codec::{check_count, wire_struct};

/// What a participant wants with the join links of a room (draft-ietf-mimi-room-policy-03, section 6.2;
/// draft-mahy-mimi-pseudonyms-00, section 3.2). No draft says how a hub is told of a link: this is our own convention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinLinksRequest {
    /// The participant, as the room knows it.
    pub participant: UserUri,
    /// What it wants.
    pub operation: JoinLinkOperation,
}

wire_struct!(JoinLinksRequest, 4096, { participant, operation });

/// What is done with join links.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JoinLinkOperation {
    /// Makes one.
    Create {
        /// SHA-256 of the code, which the hub sees when somebody shows it, and not before.
        code_hash: [u8; 32],
        /// The role of those who join by it.
        role: u32,
        /// How many may join by it; none for any number.
        uses: Option<u32>,
        /// For how many seconds it is valid; none for always.
        lifetime_secs: Option<u32>,
    },
    /// Shows those that are valid.
    List,
    /// Takes one back.
    Revoke {
        /// SHA-256 of its code.
        code_hash: [u8; 32],
    },
}

impl Wire for JoinLinkOperation {
    const MAX_LEN: usize = 64;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Create {
                code_hash: reader.array()?,
                role: reader.u32()?,
                uses: reader.optional()?,
                lifetime_secs: reader.optional()?,
            }),
            2 => Ok(Self::List),
            3 => Ok(Self::Revoke { code_hash: reader.array()? }),
            value => Err(DecodeError::Value { field: "operation", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Create { code_hash, role, uses, lifetime_secs } => {
                writer.u8(1);
                writer.raw(code_hash);
                writer.u32(*role);
                writer.optional(uses.as_ref());
                writer.optional(lifetime_secs.as_ref());
            }
            Self::List => writer.u8(2),
            Self::Revoke { code_hash } => {
                writer.u8(3);
                writer.raw(code_hash);
            }
        }
    }
}

/// A join link as the hub knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinLinkEntry {
    /// SHA-256 of the code.
    pub code_hash: [u8; 32],
    /// The role of those who join by it.
    pub role: u32,
    /// How many more may join by it; none for any number.
    pub uses_left: Option<u32>,
    /// When it ends; none for never.
    pub expires: Option<Timestamp>,
    /// Who made it.
    pub maker: UserUri,
}

wire_struct!(JoinLinkEntry, 2048, { code_hash: array, role, uses_left: optional, expires: optional, maker });

/// The join links of a room, after what was asked for has been done: at most 1,024.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinLinksResponse {
    /// The links: the one that was made, or all that are valid.
    pub links: Vec<JoinLinkEntry>,
}

wire_struct!(JoinLinksResponse, 1 << 21, { links: list }, |response| check_count(&response.links, 0..=1024, "links"));

#[cfg(test)]
mod tests {
    use super::*;

    fn participant() -> UserUri {
        "mimi://a.example/u/alice".parse().unwrap()
    }

    #[test]
    fn requests_and_answers_read_back() {
        let operations = [
            JoinLinkOperation::Create { code_hash: [1; 32], role: 2, uses: Some(3), lifetime_secs: None },
            JoinLinkOperation::List,
            JoinLinkOperation::Revoke { code_hash: [2; 32] },
        ];
        for operation in operations {
            let request = JoinLinksRequest { participant: participant(), operation };
            assert_eq!(JoinLinksRequest::decode(&request.encode()), Ok(request));
        }
        let entry = JoinLinkEntry {
            code_hash: [1; 32],
            role: 2,
            uses_left: Some(1),
            expires: Some(Timestamp::from_millis(7)),
            maker: participant(),
        };
        let response = JoinLinksResponse { links: vec![entry.clone(), JoinLinkEntry { expires: None, ..entry }] };
        assert_eq!(JoinLinksResponse::decode(&response.encode()), Ok(response));
    }

    #[test]
    fn an_operation_that_does_not_exist() {
        let expected = DecodeError::Value { field: "operation", value: 4 };
        assert_eq!(JoinLinkOperation::decode(&[4]), Err(expected));
    }
}
