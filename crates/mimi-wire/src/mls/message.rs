use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use super::{Credential, GroupInfo, KeyPackage, Welcome, opaque, scan};

/// What an MLS message is (RFC 9420, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum WireFormat {
    /// Signed, readable by everyone on the way.
    PublicMessage,
    /// Encrypted for the group.
    PrivateMessage,
    /// The way in for new members.
    Welcome,
    /// The state of a group, for those who join from outside.
    GroupInfo,
    /// The keys under which a client can be added.
    KeyPackage,
}

/// What a public or private message carries (RFC 9420, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ContentType {
    /// Data of the application.
    Application,
    /// A proposal.
    Proposal,
    /// A commit.
    Commit,
}

/// Who says it is the sender of a public message (RFC 9420, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SenderType {
    /// The member at this leaf index.
    Member(u32),
    /// The external sender at this index of the group's list.
    External(u32),
    /// A client that proposes its own addition.
    NewMemberProposal,
    /// A client that joins by an external commit.
    NewMemberCommit,
}

/// What a proposal wants (RFC 9420, section 12.1; draft-ietf-mls-extensions), as far as whoever passes it on has to know.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Proposed {
    /// To remove the member at this leaf index.
    Remove(u32),
    /// To remove its sender.
    SelfRemove,
    /// To update a component's data.
    AppDataUpdate {
        /// Which.
        component: u16,
        /// The update, as the component defines it.
        update: Vec<u8>,
    },
    /// Something else.
    Other,
}

/// What a message says about itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    wire_format: WireFormat,
    framing: Option<Framing>,
}

#[derive(Clone, PartialEq, Eq)]
struct Framing {
    group_id: Vec<u8>,
    epoch: u64,
    sender: Option<SenderType>,
    authenticated_data: Vec<u8>,
    content_type: ContentType,
    confirmation_tag: Option<Vec<u8>>,
    joiner: Option<Joiner>,
    proposed: Option<Proposed>,
}

/// Key and credential of a client that joins by an external commit.
#[derive(Clone, PartialEq, Eq)]
struct Joiner {
    signature_key: Vec<u8>,
    credential: Credential,
}

opaque!(
    /// `MLSMessage` (RFC 9420, section 6); at most 4 MiB.
    MlsMessage,
    Facts,
    1 << 22,
    message
);

fn message(reader: &mut Reader<'_>) -> scan::Scan<Facts> {
    scan::version(reader)?;
    let (wire_format, framing) = match reader.u16()? {
        1 => (WireFormat::PublicMessage, Some(public_message(reader)?)),
        2 => (WireFormat::PrivateMessage, Some(private_message(reader)?)),
        3 => {
            scan::welcome(reader)?;
            (WireFormat::Welcome, None)
        }
        4 => {
            scan::group_info(reader)?;
            (WireFormat::GroupInfo, None)
        }
        5 => {
            scan::key_package(reader)?;
            (WireFormat::KeyPackage, None)
        }
        value => return Err(DecodeError::Value { field: "wire_format", value: value.into() }),
    };
    Ok(Facts { wire_format, framing })
}

fn content_type(reader: &mut Reader<'_>) -> scan::Scan<ContentType> {
    match reader.u8()? {
        1 => Ok(ContentType::Application),
        2 => Ok(ContentType::Proposal),
        3 => Ok(ContentType::Commit),
        value => Err(DecodeError::Value { field: "content_type", value: value.into() }),
    }
}

fn public_message(reader: &mut Reader<'_>) -> scan::Scan<Framing> {
    let group_id = reader.vector()?.to_vec();
    let epoch = reader.u64()?;
    let sender = match reader.u8()? {
        1 => SenderType::Member(reader.u32()?),
        2 => SenderType::External(reader.u32()?),
        3 => SenderType::NewMemberProposal,
        4 => SenderType::NewMemberCommit,
        value => return Err(DecodeError::Value { field: "sender_type", value: value.into() }),
    };
    let authenticated_data = reader.vector()?.to_vec();
    let content_type = content_type(reader)?;
    let (mut leaf, mut proposed) = (None, None);
    match content_type {
        ContentType::Application => reader.vector().map(drop)?,
        ContentType::Proposal => proposed = Some(scan::proposal(reader)?),
        ContentType::Commit => leaf = scan::commit(reader)?,
    }
    let joiner = match leaf {
        Some(leaf) if sender == SenderType::NewMemberCommit => {
            let credential = Credential::decode(leaf.credential)?;
            Some(Joiner { signature_key: leaf.signature_key.to_vec(), credential })
        }
        _ => None,
    };
    // The signature; the confirmation tag of a commit; the membership tag of a member.
    reader.vector()?;
    let confirmation_tag = match content_type {
        ContentType::Commit => Some(reader.vector()?.to_vec()),
        _ => None,
    };
    if matches!(sender, SenderType::Member(_)) {
        reader.vector()?;
    }
    let sender = Some(sender);
    Ok(Framing { group_id, epoch, sender, authenticated_data, content_type, confirmation_tag, joiner, proposed })
}

fn private_message(reader: &mut Reader<'_>) -> scan::Scan<Framing> {
    let group_id = reader.vector()?.to_vec();
    let epoch = reader.u64()?;
    let content_type = content_type(reader)?;
    let authenticated_data = reader.vector()?.to_vec();
    // The encrypted sender data, then the ciphertext.
    reader.vector()?;
    reader.vector()?;
    let (sender, confirmation_tag, joiner, proposed) = (None, None, None, None);
    Ok(Framing { group_id, epoch, sender, authenticated_data, content_type, confirmation_tag, joiner, proposed })
}

/// Octets before the object that is wrapped: version and wire format.
const HEADER: usize = 4;

impl MlsMessage {
    /// What the message is.
    pub fn wire_format(&self) -> WireFormat {
        self.facts.wire_format
    }

    /// What a public or private message carries.
    pub fn content_type(&self) -> Option<ContentType> {
        self.facts.framing.as_ref().map(|framing| framing.content_type)
    }

    /// The group of a public or private message.
    pub fn group_id(&self) -> Option<&[u8]> {
        self.facts.framing.as_ref().map(|framing| framing.group_id.as_slice())
    }

    /// The epoch of a public or private message.
    pub fn epoch(&self) -> Option<u64> {
        self.facts.framing.as_ref().map(|framing| framing.epoch)
    }

    /// The authenticated data of a public or private message, in the clear.
    pub fn authenticated_data(&self) -> Option<&[u8]> {
        self.facts.framing.as_ref().map(|framing| framing.authenticated_data.as_slice())
    }

    /// The sender a public message names. It is a claim until the message has been verified.
    pub fn sender_type(&self) -> Option<SenderType> {
        self.facts.framing.as_ref().and_then(|framing| framing.sender)
    }

    /// The confirmation tag of a commit in a public message.
    pub fn confirmation_tag(&self) -> Option<&[u8]> {
        self.facts.framing.as_ref().and_then(|framing| framing.confirmation_tag.as_deref())
    }

    /// Signature key and credential of the client that joins, if it is an external commit in a public message. They are
    /// a claim until the message has been verified.
    pub fn joiner(&self) -> Option<(&[u8], &Credential)> {
        let joiner = self.facts.framing.as_ref()?.joiner.as_ref()?;
        Some((&joiner.signature_key, &joiner.credential))
    }

    /// What is proposed, if it is a proposal in a public message. It is a claim until the message has been verified.
    pub fn proposed(&self) -> Option<&Proposed> {
        self.facts.framing.as_ref()?.proposed.as_ref()
    }

    /// The welcome, if it is one.
    pub fn into_welcome(self) -> Option<Welcome> {
        self.inner(WireFormat::Welcome)
    }

    /// The group info, if it is one.
    pub fn into_group_info(self) -> Option<GroupInfo> {
        self.inner(WireFormat::GroupInfo)
    }

    /// The key package, if it is one.
    pub fn into_key_package(self) -> Option<KeyPackage> {
        self.inner(WireFormat::KeyPackage)
    }

    /// The object behind the header; `None` if it is of another kind, or longer than its own kind may be.
    fn inner<T: Wire>(self, wire_format: WireFormat) -> Option<T> {
        if self.facts.wire_format != wire_format {
            return None;
        }
        T::decode(self.octets.get(HEADER..)?).ok()
    }

    fn wrap(wire_format: WireFormat, code: u16, object: &impl Wire) -> Self {
        let mut writer = Writer::default();
        writer.u16(1);
        writer.u16(code);
        object.write(&mut writer);
        Self { octets: writer.into_octets(), facts: Facts { wire_format, framing: None } }
    }
}

impl From<Welcome> for MlsMessage {
    fn from(welcome: Welcome) -> Self {
        Self::wrap(WireFormat::Welcome, 3, &welcome)
    }
}

impl From<GroupInfo> for MlsMessage {
    fn from(group_info: GroupInfo) -> Self {
        Self::wrap(WireFormat::GroupInfo, 4, &group_info)
    }
}

impl From<KeyPackage> for MlsMessage {
    fn from(key_package: KeyPackage) -> Self {
        Self::wrap(WireFormat::KeyPackage, 5, &key_package)
    }
}
