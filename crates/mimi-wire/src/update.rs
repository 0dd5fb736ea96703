use mimi_pseudonym::{DecodeError, Reader, Timestamp, Wire, Writer};

use crate::{
    codec::{check_count, codes, wire_struct},
    mls::{
        CommitMessage, ContentType, Extensions, GroupInfo, MlsMessage, ProposalMessage, ProposalRef, RatchetTree,
        Welcome,
    },
};

/// Proposals that may stand beside one proposal or commit.
pub(crate) const PROPOSALS_MAX: usize = 1024;

/// `RatchetTreeOption` (draft-mahy-mls-ratchet-tree-options-02, section 3): the tree, or where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RatchetTreeOption {
    /// The tree itself.
    Full(RatchetTree),
    /// A URL to fetch it from.
    HttpsUri {
        /// The URL, with the scheme `https`.
        url: String,
        /// Signature over the tree.
        tree_signature: Vec<u8>,
    },
    /// It comes some other way.
    OutOfBand {
        /// Signature over the tree.
        tree_signature: Vec<u8>,
    },
    /// The hub follows the handshakes and has it.
    DistributionService,
}

impl Wire for RatchetTreeOption {
    const MAX_LEN: usize = RatchetTree::MAX_LEN + 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Wire::read(reader).map(Self::Full),
            2 => {
                let url = String::read(reader)?;
                if !url.starts_with("https://") || url.len() > 4096 {
                    return Err(DecodeError::Rule {
                        field: "ratchet_tree_url",
                        rule: "no https URL of at most 4096 octets",
                    });
                }
                Ok(Self::HttpsUri { url, tree_signature: Wire::read(reader)? })
            }
            3 => Ok(Self::OutOfBand { tree_signature: Wire::read(reader)? }),
            4 => Ok(Self::DistributionService),
            value => Err(DecodeError::Value { field: "representation", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Full(tree) => {
                writer.u8(1);
                tree.write(writer);
            }
            Self::HttpsUri { url, tree_signature } => {
                writer.u8(2);
                url.write(writer);
                tree_signature.write(writer);
            }
            Self::OutOfBand { tree_signature } => {
                writer.u8(3);
                tree_signature.write(writer);
            }
            Self::DistributionService => writer.u8(4),
        }
    }
}

codes! {
    /// `RatchetTreePresence` (draft-mahy-mls-ratchet-tree-options-02, section 4): whether the tree stands in the group
    /// info of this epoch and of the one before.
    pub enum RatchetTreePresence: "ratchet_tree_presence" {
        /// In neither.
        NoRatchetTree = 0,
        /// In both.
        Present = 1,
        /// Only in the one before.
        Removed = 2,
        /// Only in this one.
        Added = 3,
    }
}

/// `PartialGroupInfo` (draft-mahy-mls-ratchet-tree-options-02, section 4): what a hub that follows the handshakes
/// cannot work out of a group info.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartialGroupInfo {
    /// Whether the tree stands in the group info.
    pub ratchet_tree_presence: RatchetTreePresence,
    /// Extensions of the group info, without the tree.
    pub group_info_extensions: Extensions,
    /// Signature of the whole group info.
    pub signature: Vec<u8>,
}

wire_struct!(PartialGroupInfo, 1 << 20, { ratchet_tree_presence, group_info_extensions, signature }, |partial| {
    if partial.group_info_extensions.types().contains(&2) {
        return Err(DecodeError::Rule { field: "group_info_extensions", rule: "a ratchet tree stands inside" });
    }
    Ok(())
});

/// `GroupInfoOption` (section 5.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupInfoOption {
    /// The whole group info, without the tree.
    Full(GroupInfo),
    /// What the hub cannot work out.
    Partial(PartialGroupInfo),
}

impl Wire for GroupInfoOption {
    const MAX_LEN: usize = GroupInfo::MAX_LEN + 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => {
                let group_info = GroupInfo::read(reader)?;
                group_info.check_without_tree()?;
                Ok(Self::Full(group_info))
            }
            2 => Wire::read(reader).map(Self::Partial),
            value => Err(DecodeError::Value { field: "representation", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Full(group_info) => {
                writer.u8(1);
                group_info.write(writer);
            }
            Self::Partial(partial) => {
                writer.u8(2);
                partial.write(writer);
            }
        }
    }
}

/// `UpdateRequest`, which is a `HandshakeBundle` and nothing else (section 5.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpdateRequest {
    /// A commit, and what new members need.
    Commit {
        /// The commit.
        commit: CommitMessage,
        /// The way in for those it adds.
        welcome: Option<Welcome>,
        /// The group info of the new epoch.
        group_info: GroupInfoOption,
        /// The tree of the new epoch.
        ratchet_tree: RatchetTreeOption,
    },
    /// Proposals.
    Proposal {
        /// The first.
        proposal: ProposalMessage,
        /// The others; at most 1,024.
        more: Vec<ProposalMessage>,
    },
}

impl Wire for UpdateRequest {
    const MAX_LEN: usize = 24 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let message = MlsMessage::read(reader)?;
        let wrong =
            |_| DecodeError::Rule { field: "proposalOrCommit", rule: "no public message with a proposal or commit" };
        match message.content_type() {
            Some(ContentType::Commit) => Ok(Self::Commit {
                commit: message.try_into().map_err(wrong)?,
                welcome: reader.optional()?,
                group_info: Wire::read(reader)?,
                ratchet_tree: Wire::read(reader)?,
            }),
            _ => {
                let proposal = message.try_into().map_err(wrong)?;
                let more = reader.list()?;
                check_count(&more, 0..=PROPOSALS_MAX, "moreProposals")?;
                Ok(Self::Proposal { proposal, more })
            }
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Commit { commit, welcome, group_info, ratchet_tree } => {
                commit.write(writer);
                writer.optional(welcome.as_ref());
                group_info.write(writer);
                ratchet_tree.write(writer);
            }
            Self::Proposal { proposal, more } => {
                proposal.write(writer);
                writer.list(more);
            }
        }
    }
}

/// What the hub did with an update.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpdateOutcome {
    /// It was accepted and goes out to everyone.
    Accepted {
        /// When.
        accepted: Timestamp,
    },
    /// It is for another epoch.
    WrongEpoch {
        /// The group's epoch.
        current_epoch: u64,
    },
    /// A policy or a missing right stands against it.
    NotAllowed,
    /// A proposal is invalid.
    InvalidProposal {
        /// Which ones.
        proposals: Vec<ProposalRef>,
    },
}

/// `UpdateRoomResponse` (section 5.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateRoomResponse {
    /// A word to the reader; may be empty.
    pub description: String,
    /// What the hub did.
    pub outcome: UpdateOutcome,
}

impl Wire for UpdateRoomResponse {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        if code > 3 {
            return Err(DecodeError::Value { field: "responseCode", value: code.into() });
        }
        let description = Wire::read(reader)?;
        let outcome = match code {
            0 => UpdateOutcome::Accepted { accepted: Wire::read(reader)? },
            1 => UpdateOutcome::WrongEpoch { current_epoch: reader.u64()? },
            2 => UpdateOutcome::NotAllowed,
            _ => UpdateOutcome::InvalidProposal { proposals: reader.list()? },
        };
        Ok(Self { description, outcome })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(match self.outcome {
            UpdateOutcome::Accepted { .. } => 0,
            UpdateOutcome::WrongEpoch { .. } => 1,
            UpdateOutcome::NotAllowed => 2,
            UpdateOutcome::InvalidProposal { .. } => 3,
        });
        self.description.write(writer);
        match &self.outcome {
            UpdateOutcome::Accepted { accepted } => accepted.write(writer),
            UpdateOutcome::WrongEpoch { current_epoch } => writer.u64(*current_epoch),
            UpdateOutcome::NotAllowed => {}
            UpdateOutcome::InvalidProposal { proposals } => writer.list(proposals),
        }
    }
}
