use std::fmt;

use mimi_pseudonym::{CipherSuite, DecodeError, PublicKey, Reader, RoomUri, Signer, Timestamp, Wire, Writer};

use crate::{
    codec::{check_count, read_protocol, wire_struct, write_protocol},
    label::{RequestSignError, RequestVerifyError, sign_with_label, verify_with_label},
    mls::{Credential, GroupInfo, ProposalMessage},
    update::{PROPOSALS_MAX, RatchetTreeOption},
};

const REQUEST_LABEL: &str = "GroupInfoRequestTBS";
const RESPONSE_LABEL: &str = "GroupInfoResponseTBS";

/// Label of `EncryptWithLabel` for [`GroupInfoRatchetTreeTbe`]; the context is the room's URI
/// (draft-ietf-mimi-protocol-06, section 5.6).
pub const GROUP_INFO_ENCRYPTION_LABEL: &str = "GroupInfo and ratchet_tree encryption";

/// `GroupInfoRequestTBS` (section 5.6). `Debug` shows no joining code.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupInfoRequestTbs {
    /// The suite whose schemes the request and its answer use.
    pub cipher_suite: CipherSuite,
    /// The key the request is signed with.
    pub requesting_signature_key: PublicKey,
    /// The credential of that key.
    pub requesting_credential: Credential,
    /// The HPKE key the answer is encrypted to.
    pub group_info_public_key: Vec<u8>,
    /// Proof of the right to join, where one is needed.
    pub joining_code: Option<Vec<u8>>,
}

impl Wire for GroupInfoRequestTbs {
    const MAX_LEN: usize = 1 << 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        let cipher_suite = CipherSuite::read(reader)?;
        Ok(Self {
            cipher_suite,
            requesting_signature_key: PublicKey::read(reader, cipher_suite)?,
            requesting_credential: Wire::read(reader)?,
            group_info_public_key: Wire::read(reader)?,
            joining_code: reader.optional()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        write_protocol(writer);
        self.cipher_suite.write(writer);
        writer.vector(self.requesting_signature_key.as_bytes());
        self.requesting_credential.write(writer);
        self.group_info_public_key.write(writer);
        writer.optional(self.joining_code.as_ref());
    }
}

impl fmt::Debug for GroupInfoRequestTbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupInfoRequestTbs")
            .field("cipher_suite", &self.cipher_suite)
            .field("requesting_signature_key", &self.requesting_signature_key)
            .field("requesting_credential", &self.requesting_credential)
            .field("joining_code", &self.joining_code.as_ref().map(|_| "redacted"))
            .finish_non_exhaustive()
    }
}

/// `GroupInfoRequest` (section 5.6) as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedGroupInfoRequest {
    tbs: GroupInfoRequestTbs,
    signature: Vec<u8>,
}

wire_struct!(UnverifiedGroupInfoRequest, GroupInfoRequestTbs::MAX_LEN + 1024, { tbs, signature });

impl UnverifiedGroupInfoRequest {
    /// Checks the signature with the key in the request. Whether the credential belongs to that key, and may have the
    /// group info, is for the caller to check.
    ///
    /// # Errors
    /// [`RequestVerifyError::Signature`]
    pub fn verify(self) -> Result<GroupInfoRequest, RequestVerifyError> {
        let key = &self.tbs.requesting_signature_key;
        verify_with_label(key, REQUEST_LABEL, &self.tbs.encode(), &self.signature)?;
        Ok(GroupInfoRequest(self))
    }
}

/// `GroupInfoRequest` (section 5.6) whose signature is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupInfoRequest(UnverifiedGroupInfoRequest);

impl GroupInfoRequest {
    /// Signs a request.
    ///
    /// # Errors
    /// [`RequestSignError`]: the signer's key must be the one in the request, of the scheme of its suite.
    pub fn sign(tbs: GroupInfoRequestTbs, signer: &dyn Signer) -> Result<Self, RequestSignError> {
        check_signer(signer, &tbs.requesting_signature_key, tbs.cipher_suite)?;
        let signature = sign_with_label(signer, REQUEST_LABEL, &tbs.encode())?;
        Ok(Self(UnverifiedGroupInfoRequest { tbs, signature }))
    }

    /// The fields.
    pub fn tbs(&self) -> &GroupInfoRequestTbs {
        &self.0.tbs
    }

    /// The encoding, octet for octet what was verified.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }
}

impl From<GroupInfoRequest> for UnverifiedGroupInfoRequest {
    fn from(request: GroupInfoRequest) -> Self {
        request.0
    }
}

fn check_signer(signer: &dyn Signer, key: &PublicKey, suite: CipherSuite) -> Result<(), RequestSignError> {
    let fits = signer.public_key() == key && key.scheme() == suite.signature_scheme();
    if fits { Ok(()) } else { Err(RequestSignError::Key) }
}

/// `ExternalSender` (RFC 9420, section 12.1.8.1). The suite beside it says the key's scheme.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalSender {
    /// The key's octets.
    pub signature_key: Vec<u8>,
    /// Whose it is.
    pub credential: Credential,
}

wire_struct!(ExternalSender, 1 << 17, { signature_key, credential });

/// `HPKECiphertext` (RFC 9420, section 7.6).
#[derive(Clone, PartialEq, Eq)]
pub struct HpkeCiphertext {
    /// The encapsulated key.
    pub kem_output: Vec<u8>,
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
}

wire_struct!(HpkeCiphertext, 24 << 20, { kem_output, ciphertext });

impl fmt::Debug for HpkeCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HpkeCiphertext({} octets)", self.ciphertext.len())
    }
}

/// `PendingProposal` (section 5.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingProposal {
    /// The proposal.
    pub proposal: ProposalMessage,
    /// When the hub accepted it.
    pub hub_accepted: Timestamp,
}

wire_struct!(PendingProposal, ProposalMessage::MAX_LEN + 8, { proposal, hub_accepted });

/// `GroupInfoRatchetTreeTBE` (section 5.6): what is encrypted to the one who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupInfoRatchetTreeTbe {
    /// The group info, without the tree.
    pub group_info: GroupInfo,
    /// The tree, or where it is.
    pub ratchet_tree: RatchetTreeOption,
    /// Proposals the hub has accepted in this epoch; at most 1,024.
    pub pending_proposals: Vec<PendingProposal>,
}

wire_struct!(
    GroupInfoRatchetTreeTbe,
    24 << 20,
    { group_info, ratchet_tree, pending_proposals: list },
    |tbe| {
        tbe.group_info.check_without_tree()?;
        check_count(&tbe.pending_proposals, 0..=PROPOSALS_MAX, "pending_proposals")
    }
);

/// `GroupInfoResponseTBS` of a successful answer (section 5.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupInfoResponseTbs {
    /// The room.
    pub room: RoomUri,
    /// The suite whose schemes the answer uses.
    pub cipher_suite: CipherSuite,
    /// The hub, as it stands in the group's list of external senders.
    pub hub_sender: ExternalSender,
    /// [`GroupInfoRatchetTreeTbe`], encrypted.
    pub encrypted_group_info_and_tree: HpkeCiphertext,
}

impl GroupInfoResponseTbs {
    fn write(&self, writer: &mut Writer) {
        write_status(writer, &self.room, SUCCESS);
        self.cipher_suite.write(writer);
        self.hub_sender.write(writer);
        self.encrypted_group_info_and_tree.write(writer);
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.into_octets()
    }
}

const SUCCESS: u8 = 1;
const NOT_AUTHORIZED: u8 = 2;
const NO_SUCH_ROOM: u8 = 3;

fn write_status(writer: &mut Writer, room: &RoomUri, status: u8) {
    write_protocol(writer);
    room.write(writer);
    writer.u8(status);
}

/// `GroupInfoResponse` (section 5.6). A refusal carries no signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupInfoResponse {
    /// The group info, encrypted, with a good signature.
    Success(GroupInfoResponseTbs),
    /// The requester may not have it.
    NotAuthorized {
        /// The room.
        room: RoomUri,
    },
    /// There is no such room.
    NoSuchRoom {
        /// The room.
        room: RoomUri,
    },
}

/// `GroupInfoResponse` (section 5.6) as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedGroupInfoResponse {
    response: GroupInfoResponse,
    signature: Vec<u8>,
}

impl UnverifiedGroupInfoResponse {
    /// Signs a successful answer.
    ///
    /// # Errors
    /// [`RequestSignError`]: the signer's key must be the hub sender's, of the scheme of the suite.
    pub fn sign(tbs: GroupInfoResponseTbs, signer: &dyn Signer) -> Result<Self, RequestSignError> {
        let key = PublicKey::new(tbs.cipher_suite.signature_scheme(), &tbs.hub_sender.signature_key)
            .map_err(|_| RequestSignError::Key)?;
        check_signer(signer, &key, tbs.cipher_suite)?;
        let signature = sign_with_label(signer, RESPONSE_LABEL, &tbs.encode())?;
        Ok(Self { response: GroupInfoResponse::Success(tbs), signature })
    }

    /// The answer that the requester may not have it.
    pub fn not_authorized(room: RoomUri) -> Self {
        Self { response: GroupInfoResponse::NotAuthorized { room }, signature: Vec::new() }
    }

    /// The answer that there is no such room.
    pub fn no_such_room(room: RoomUri) -> Self {
        Self { response: GroupInfoResponse::NoSuchRoom { room }, signature: Vec::new() }
    }

    /// Checks that the answer is for this room, and the signature of a successful one with the key in it. Whether that
    /// key is the hub's is for the caller to check: it must stand in the group's list of external senders, under a
    /// credential of the hub's domain.
    ///
    /// # Errors
    /// [`RequestVerifyError`]; an answer for another room counts as one with a bad signature.
    pub fn verify(self, expected: &RoomUri) -> Result<GroupInfoResponse, RequestVerifyError> {
        let room = match &self.response {
            GroupInfoResponse::Success(tbs) => {
                let key = PublicKey::new(tbs.cipher_suite.signature_scheme(), &tbs.hub_sender.signature_key)?;
                verify_with_label(&key, RESPONSE_LABEL, &tbs.encode(), &self.signature)?;
                &tbs.room
            }
            GroupInfoResponse::NotAuthorized { room } | GroupInfoResponse::NoSuchRoom { room } => room,
        };
        if room != expected {
            return Err(RequestVerifyError::Signature(mimi_pseudonym::VerifyError));
        }
        Ok(self.response)
    }
}

impl Wire for UnverifiedGroupInfoResponse {
    const MAX_LEN: usize = 24 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        let room = RoomUri::read(reader)?;
        match reader.u8()? {
            SUCCESS => {
                let tbs = GroupInfoResponseTbs {
                    room,
                    cipher_suite: Wire::read(reader)?,
                    hub_sender: Wire::read(reader)?,
                    encrypted_group_info_and_tree: Wire::read(reader)?,
                };
                Ok(Self { response: GroupInfoResponse::Success(tbs), signature: Wire::read(reader)? })
            }
            NOT_AUTHORIZED => Ok(Self::not_authorized(room)),
            NO_SUCH_ROOM => Ok(Self::no_such_room(room)),
            value => Err(DecodeError::Value { field: "status", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match &self.response {
            GroupInfoResponse::Success(tbs) => {
                tbs.write(writer);
                self.signature.write(writer);
            }
            GroupInfoResponse::NotAuthorized { room } => write_status(writer, room, NOT_AUTHORIZED),
            GroupInfoResponse::NoSuchRoom { room } => write_status(writer, room, NO_SUCH_ROOM),
        }
    }
}
