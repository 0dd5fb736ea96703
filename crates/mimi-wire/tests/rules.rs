//! Every rule by the name of its error, and what the accessors say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use mimi_pseudonym::{
    CipherSuite, ClaimName, DisclosureFormat, KeyError, RoomUri, SignatureScheme, Signer, SigningKey, UserUri,
    VerifyError,
};
use mimi_wire::{local::*, *};
use support::*;

fn sample<T: Sample>(seed: u64) -> T {
    T::sample(&mut Gen::new(seed))
}

fn rule<T>(field: &'static str, rule: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::Rule { field, rule })
}

fn value<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::Value { field, value })
}

/// The encoding with one octet set.
fn with(wire: &impl Wire, at: usize, octet: u8) -> Vec<u8> {
    let mut octets = wire.encode();
    octets[at] = octet;
    octets
}

#[test]
fn a_message_says_what_it_is() {
    let mut from = Gen::new(1);
    for (code, sender) in [
        (1, SenderType::Member(9)),
        (2, SenderType::External(9)),
        (3, SenderType::NewMemberProposal),
        (4, SenderType::NewMemberCommit),
    ] {
        for (content, content_type) in
            [(1, ContentType::Application), (2, ContentType::Proposal), (3, ContentType::Commit)]
        {
            let message = public_message(&mut from, code, content);
            assert_eq!(message.wire_format(), WireFormat::PublicMessage);
            assert_eq!(message.sender_type(), Some(sender));
            assert_eq!(message.content_type(), Some(content_type));
            assert_eq!(message.group_id(), Some(b"group".as_slice()));
            assert_eq!(message.epoch(), Some(5));
            assert_eq!(message.authenticated_data(), Some(b"aad".as_slice()));
        }
    }
    let message = private_message(&mut from, 3);
    assert_eq!(message.wire_format(), WireFormat::PrivateMessage);
    assert_eq!((message.content_type(), message.sender_type()), (Some(ContentType::Commit), None));
    assert_eq!((message.epoch(), message.authenticated_data()), (Some(6), Some(b"data".as_slice())));
}

#[test]
fn objects_are_wrapped_and_unwrapped() {
    let welcome: Welcome = sample(2);
    let message = MlsMessage::from(welcome.clone());
    assert_eq!(MlsMessage::decode(message.as_bytes()), Ok(message.clone()));
    assert_eq!((message.group_id(), message.epoch(), message.content_type()), (None, None, None));
    assert_eq!(message.clone().into_group_info(), None);
    assert_eq!(message.into_welcome(), Some(welcome));
    let group_info: GroupInfo = sample(3);
    assert_eq!(MlsMessage::from(group_info.clone()).into_group_info(), Some(group_info));
    let key_package: KeyPackage = sample(3);
    assert_eq!(MlsMessage::from(key_package.clone()).into_key_package(), Some(key_package));
}

/// A key package spelled out octet by octet, as RFC 9420, section 10, has it.
#[test]
fn a_key_package_spelled_out_is_read() {
    let octets = [
        &[0, 1, 0, 2][..],                                    // version, cipher suite
        &[1, 0xa1],                                           // init key
        &[1, 0xa2, 2, 0xb1, 0xb2],                            // encryption key, signature key
        &[0, 2, 3, 2, 0xc1, 0xc2],                            // credential: X.509, one certificate
        &[2, 0, 1, 2, 0, 2, 0, 2, 0, 8, 2, 0, 2],             // capabilities
        &[1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4], // source: key package, lifetime
        &[4, 0, 6, 1, 0, 1, 0xd1],                            // extensions, signature of the leaf
        &[0, 1, 0xd2],                                        // extensions, signature
    ]
    .concat();
    let key_package = KeyPackage::decode(&octets).unwrap();
    assert_eq!(key_package.cipher_suite_code(), 2);
    assert_eq!(key_package.signature_key(), [0xb1, 0xb2]);
    assert_eq!(key_package.credential().certificates(), Some([vec![0xc1, 0xc2]].as_slice()));
    assert_eq!(key_package.credential().credential_type(), 2);
    assert_eq!(key_package.lifetime(), (3, 4));
    assert_eq!(key_package.as_bytes(), octets);
    assert_eq!(format!("{key_package:?}"), format!("KeyPackage({} octets)", octets.len()));
    let source = octets.iter().rposition(|octet| *octet == 3).unwrap() - 8;
    let mut update = octets.clone();
    update.splice(source..source + 17, [2]);
    assert_eq!(KeyPackage::decode(&update), rule("leaf_node_source", "not key_package in a key package"));
    update[source] = 4;
    assert_eq!(KeyPackage::decode(&update), value("leaf_node_source", 4));
}

#[test]
fn unknown_codes_of_mls_are_refused() {
    assert_eq!(Credential::decode(&[0, 3, 0]), value("credential_type", 3));
    let message = public_message(&mut Gen::new(1), 4, 1);
    assert_eq!(MlsMessage::decode(&with(&message, 1, 2)), value("version", 2));
    assert_eq!(MlsMessage::decode(&with(&message, 3, 6)), value("wire_format", 6));
    // Behind the header, the group (6 octets) and the epoch (8).
    assert_eq!(MlsMessage::decode(&with(&message, 18, 5)), value("sender_type", 5));
    // Behind the sender and the authenticated data (4).
    assert_eq!(MlsMessage::decode(&with(&message, 23, 0)), value("content_type", 0));
    let head = &public_message(&mut Gen::new(1), 4, 2).encode()[..24];
    for (proposal, expected) in [
        (&[0, 0][..], value("proposal_type", 0)),
        (&[0, 11], value("proposal_type", 11)),
        (&[0, 8, 0, 1, 3], value("op", 3)),
        (&[0, 4, 4], value("psktype", 4)),
        (&[0, 4, 2, 4], value("usage", 4)),
    ] {
        assert_eq!(MlsMessage::decode(&[head, proposal].concat()), expected);
    }
    let head = &public_message(&mut Gen::new(1), 4, 3).encode()[..24];
    assert_eq!(MlsMessage::decode(&[head, &[1, 3]].concat()), value("proposal_or_ref_type", 3));
}

#[test]
fn proposals_of_the_extensions_draft_are_read() {
    let head = &public_message(&mut Gen::new(1), 4, 2).encode()[..24];
    let update = Proposed::AppDataUpdate { component: 0x22, update: vec![7, 7] };
    for (proposal, proposed) in [
        (&[0, 8, 0, 0x22, 1, 2, 7, 7][..], update),
        (&[0, 8, 0, 0x22, 2], Proposed::Other),
        (&[0, 9, 0, 1, 1, 5], Proposed::Other),
        (&[0, 10], Proposed::SelfRemove),
        (&[0, 3, 0, 0, 0, 7], Proposed::Remove(7)),
    ] {
        let message = MlsMessage::decode(&[head, proposal, &[1, 0xee]].concat()).unwrap();
        assert_eq!(message.content_type(), Some(ContentType::Proposal));
        assert_eq!(message.proposed(), Some(&proposed));
    }
    assert_eq!(public_message(&mut Gen::new(1), 4, 1).proposed(), None, "no proposal");
}

#[test]
fn extensions_are_found_and_never_twice() {
    let extensions = Extensions::decode(&[8, 0, 6, 1, 9, 0, 4, 1, 8]).unwrap();
    assert_eq!(extensions.types(), [4, 6]);
    assert_eq!(
        (extensions.data(6), extensions.data(4), extensions.data(2)),
        (Some([9].as_slice()), Some([8].as_slice()), None)
    );
    assert_eq!(Extensions::decode(&[6, 0, 6, 0, 0, 6, 0]), rule("extensions", "an extension type stands twice"));
    assert_eq!(Extensions::decode(Extensions::empty().as_bytes()), Ok(Extensions::empty()));
}

#[test]
fn a_dictionary_is_in_order() {
    let wrong = rule("component_data", "ids out of order, or one stands twice");
    assert_eq!(AppDataDictionary::decode(&[6, 0, 2, 0, 0, 1, 0]), wrong.clone());
    assert_eq!(AppDataDictionary::decode(&[6, 0, 2, 0, 0, 2, 0]), wrong);
    let dictionary = AppDataDictionary::decode(&[7, 0, 1, 1, 9, 0, 2, 0]).unwrap();
    assert_eq!(dictionary.component(1), Some([9].as_slice()));
    assert_eq!(dictionary.iter().count(), 2);
}

#[test]
fn a_tree_has_its_nodes_in_place() {
    let empty = rule("ratchet_tree", "empty, or blank at its end");
    assert_eq!(RatchetTree::decode(&[0]), empty.clone());
    assert_eq!(RatchetTree::decode(&[1, 0]), empty);
    assert_eq!(RatchetTree::decode(&[5, 1, 2, 0, 0, 0]), rule("ratchet_tree", "a node is out of place"));
    assert_eq!(RatchetTree::decode(&[2, 1, 3]), value("node_type", 3));
    assert_eq!(RatchetTree::decode(&[1, 2]), value("optional", 2));
    assert_eq!(RatchetTree::decode(&[6, 0, 1, 2, 0, 0, 0]).unwrap().node_count(), 2);
}

#[test]
fn references_and_capabilities_are_read() {
    assert_eq!(KeyPackageRef::decode(&[0]), rule("key_package_ref", "not 1 to 255 octets"));
    assert_eq!(ProposalRef::decode(&[0]), rule("proposal_ref", "not 1 to 255 octets"));
    let welcome = Welcome::decode(&[0, 1, 4, 1, 0xaa, 0, 0, 0]).unwrap();
    assert_eq!(welcome.key_package_refs(), [KeyPackageRef::new(&[0xaa])]);
    assert_eq!(welcome.cipher_suite_code(), 1);
    let capabilities = Capabilities::decode(&[2, 0, 1, 4, 0, 1, 0, 2, 0, 0, 2, 0, 1]).unwrap();
    assert_eq!(capabilities.lists(), [vec![1], vec![1, 2], vec![], vec![], vec![1]]);
    assert_eq!(Capabilities::decode(&[1, 0, 0, 0, 0, 0]), Err(DecodeError::Truncated));
    let required = RequiredCapabilities::new(vec![6], vec![8], vec![2]);
    assert_eq!(RequiredCapabilities::decode(required.as_bytes()), Ok(required.clone()));
    assert_eq!((required.extensions(), required.proposals(), required.credentials()), (&[6][..], &[8][..], &[2][..]));
}

#[test]
fn a_tree_inside_a_group_info_is_refused_where_it_comes_apart() {
    // version, suite, group, epoch, two hashes, extensions of the context | one extension of type 2 | tag, signer, signature
    let octets = [&[0, 1, 0, 1, 0][..], &[0; 8], &[0, 0, 0], &[3, 0, 2, 0], &[0, 0, 0, 0, 0, 0]].concat();
    let group_info = GroupInfo::decode(&octets).unwrap();
    assert!(group_info.has_ratchet_tree());
    let refused = rule::<()>("groupInfo", "a ratchet tree stands inside");
    let option = GroupInfoOption::Full(group_info.clone());
    assert_eq!(GroupInfoOption::decode(&option.encode()).map(drop), refused);
    let room = CreateRoomRequest { room: sample(1), group_info: group_info.clone(), ratchet_tree: sample(1) };
    assert_eq!(CreateRoomRequest::decode(&room.encode()).map(drop), refused);
    let tbe = GroupInfoRatchetTreeTbe {
        group_info,
        ratchet_tree: RatchetTreeOption::DistributionService,
        pending_proposals: Vec::new(),
    };
    assert_eq!(GroupInfoRatchetTreeTbe::decode(&tbe.encode()).map(drop), refused);
    let partial = PartialGroupInfo::decode(&[1, 3, 0, 2, 0, 0]);
    assert_eq!(partial, rule("group_info_extensions", "a ratchet tree stands inside"));
}

#[test]
fn key_material_is_signed_for_every_suite() {
    for suite in CipherSuite::ALL {
        let request = key_material_request(&mut Gen::new(4), suite);
        let read = UnverifiedKeyMaterialRequest::decode(&request.encode()).unwrap();
        assert_eq!(read.target_user(), &request.tbs().target_user);
        assert_eq!(read.requesting_user(), &request.tbs().requesting_user);
        assert_eq!(read.room(), request.tbs().room.as_ref());
        assert_eq!(read.verify(), Ok(request.clone()));
        let mut octets = request.encode();
        *octets.last_mut().unwrap() ^= 1;
        let forged = UnverifiedKeyMaterialRequest::decode(&octets).unwrap();
        assert_eq!(forged.verify(), Err(RequestVerifyError::Signature(VerifyError)));
    }
}

#[test]
fn key_material_with_a_strange_key_or_suite_is_refused() {
    let request = key_material_request(&mut Gen::new(4), CipherSuite::X25519Aes128Ed25519);
    let unverified = |change: fn(&mut KeyMaterialRequestTbs)| {
        let mut tbs = request.tbs().clone();
        change(&mut tbs);
        UnverifiedKeyMaterialRequest::decode(&[tbs.encode(), vec![7; 64].encode()].concat())
    };
    let strange = unverified(|tbs| tbs.acceptable_cipher_suites = vec![2, 99]).unwrap();
    assert_eq!(strange.verify(), Err(RequestVerifyError::CipherSuite));
    let weak = unverified(|tbs| tbs.requester_signature_key = vec![0; 32]).unwrap();
    assert_eq!(weak.verify(), Err(RequestVerifyError::Key(KeyError::Point)));
    let none = unverified(|tbs| tbs.acceptable_cipher_suites.clear());
    assert_eq!(none, rule("acceptableCiphersuites", "empty"));
    assert_eq!(
        UnverifiedKeyMaterialRequest::decode(&with(&UnverifiedKeyMaterialRequest::from(request), 0, 2)),
        value("protocol", 2)
    );
}

#[test]
fn nothing_is_signed_with_another_key() {
    let other = SigningKey::from_secret(SignatureScheme::Ed25519, &[9; 32]).unwrap();
    let mut tbs: KeyMaterialRequestTbs = sample(5);
    assert_eq!(KeyMaterialRequest::sign(tbs.clone(), &other), Err(RequestSignError::Key));
    tbs.acceptable_cipher_suites.clear();
    assert_eq!(KeyMaterialRequest::sign(tbs, &other), Err(RequestSignError::Empty("acceptableCiphersuites")));
    assert_eq!(GroupInfoRequest::sign(sample(5), &other), Err(RequestSignError::Key));
    let mut item = credential_item(&mut Gen::new(5), CipherSuite::X25519Aes128Ed25519).tbs().clone();
    assert_eq!(CredentialItem::sign(item.clone(), &other), Err(RequestSignError::Key));
    item.public_key = other.public_key().clone();
    item.cipher_suite = CipherSuite::P256Aes128P256;
    assert_eq!(CredentialItem::sign(item, &other), Err(RequestSignError::Key));
    let tbs = GroupInfoResponseTbs {
        room: sample(1),
        cipher_suite: CipherSuite::X25519Aes128Ed25519,
        hub_sender: sample(1),
        encrypted_group_info_and_tree: sample(1),
    };
    assert_eq!(UnverifiedGroupInfoResponse::sign(tbs, &other), Err(RequestSignError::Key));
}

#[test]
fn clients_fit_the_status() {
    let user: UserUri = sample(1);
    let client = |material| ClientKeyMaterial { client: sample(1), material };
    let with = client(ClientMaterial::KeyPackage(sample(1)));
    let without = client(ClientMaterial::Exhausted);
    let make = |status, clients: &[&ClientKeyMaterial]| {
        KeyMaterialResponse::new(status, user.clone(), clients.iter().map(|client| (*client).clone()).collect())
    };
    use KeyMaterialUserCode as Code;
    assert!(make(Code::Success, &[&with, &with]).is_ok());
    assert_eq!(make(Code::Success, &[&with, &without]), Err(ClientsError::Incomplete));
    assert_eq!(make(Code::Success, &[]), Err(ClientsError::Incomplete));
    assert!(make(Code::PartialSuccess, &[&with, &without]).is_ok());
    assert_eq!(make(Code::PartialSuccess, &[&without]), Err(ClientsError::Nothing));
    assert!(make(Code::NoCompatibleMaterial, &[&without]).is_ok());
    assert_eq!(make(Code::NoCompatibleMaterial, &[&with]), Err(ClientsError::Something));
    for status in [Code::NoConsent, Code::UserUnknown, Code::UserDeleted, Code::IncompatibleProtocol] {
        assert_eq!(make(status, &[&without]), Err(ClientsError::NotAllowed));
    }
    assert_eq!(make(Code::Success, &[&with; 1001]), Err(ClientsError::TooMany));
    let octets = support::with_status(&make(Code::PartialSuccess, &[&with, &without]).unwrap(), Code::NoConsent);
    assert_eq!(KeyMaterialResponse::decode(&octets), rule("clients", "the clients do not fit the status"));
    assert_eq!(Code::decode(&[8]), value("userStatus", 8));
}

#[test]
fn kinds_of_messages_are_not_mixed() {
    let mut from = Gen::new(6);
    let private_commit = private_message(&mut from, 3);
    assert!(CommitMessage::try_from(private_commit.clone()).is_err());
    assert!(ApplicationMessage::try_from(public_message(&mut from, 1, 1)).is_err());
    assert!(ProposalMessage::try_from(public_message(&mut from, 1, 3)).is_err());
    assert_eq!(
        UpdateRequest::decode(private_commit.as_bytes()),
        rule("proposalOrCommit", "no public message with a proposal or commit")
    );
    let stamped = |message: &MlsMessage| [&[0; 8], message.as_bytes(), &[0]].concat();
    assert_eq!(
        FanoutMessage::decode(&stamped(&private_commit)),
        rule("message", "wire format and content type do not go together")
    );
    let key_package = MlsMessage::from(sample::<KeyPackage>(1));
    assert_eq!(FanoutMessage::decode(&stamped(&key_package)), rule("message", "not a kind that is fanned out"));
    let submit = [&[1][..], private_commit.as_bytes(), &sample::<UserUri>(1).encode()].concat();
    assert_eq!(SubmitMessageRequest::decode(&submit), rule("message", "no private message with application data"));
}

#[test]
fn unknown_codes_are_refused() {
    assert_eq!(RatchetTreeOption::decode(&[0]), value("representation", 0));
    assert_eq!(GroupInfoOption::decode(&[3]), value("representation", 3));
    assert_eq!(UpdateRoomResponse::decode(&[4, 0]), value("responseCode", 4));
    assert_eq!(SubmitMessageResponse::decode(&[1, 3]), value("statusCode", 3));
    assert_eq!(ConsentEntry::decode(&[4]), value("consentOperation", 4));
    assert_eq!(QueryElement::decode(&[9]), value("searchType", 9));
    assert_eq!(IdentifierQueryCode::decode(&[5]), value("responseCode", 5));
    assert_eq!(FieldSource::decode(&[1]), value("fieldSource", 1));
    assert_eq!(InboxBody::decode(&[0]), value("inbox_body", 0));
    let http = [&[2][..], &String::from("http://a.example/t").encode(), &[0]].concat();
    assert_eq!(RatchetTreeOption::decode(&http), rule("ratchet_tree_url", "no https URL of at most 4096 octets"));
    assert_eq!(IdentifierRequest::decode(&[0, 0]), rule("query_elements", "empty"));
}

#[test]
fn group_infos_are_asked_for_and_given_with_signatures() {
    let room: RoomUri = sample(1);
    let other = RoomUri::new(room.domain(), "elsewhere").unwrap();
    for suite in CipherSuite::ALL {
        let request = group_info_request(&mut Gen::new(7), suite);
        let read = UnverifiedGroupInfoRequest::decode(&request.encode()).unwrap();
        assert_eq!(read.verify(), Ok(request.clone()));
        let mut octets = request.encode();
        *octets.last_mut().unwrap() ^= 1;
        let forged = UnverifiedGroupInfoRequest::decode(&octets).unwrap();
        assert_eq!(forged.verify(), Err(RequestVerifyError::Signature(VerifyError)));

        let response = group_info_response(&mut Gen::new(8), suite, room.clone());
        let read = UnverifiedGroupInfoResponse::decode(&response.encode()).unwrap();
        assert!(matches!(read.clone().verify(&room), Ok(GroupInfoResponse::Success(tbs)) if tbs.room == room));
        assert_eq!(read.verify(&other), Err(RequestVerifyError::Signature(VerifyError)));
        let mut octets = response.encode();
        *octets.last_mut().unwrap() ^= 1;
        let forged = UnverifiedGroupInfoResponse::decode(&octets).unwrap();
        assert_eq!(forged.verify(&room), Err(RequestVerifyError::Signature(VerifyError)));
    }
    let refused = UnverifiedGroupInfoResponse::not_authorized(room.clone());
    assert_eq!(refused.clone().verify(&other), Err(RequestVerifyError::Signature(VerifyError)));
    assert_eq!(refused.verify(&room), Ok(GroupInfoResponse::NotAuthorized { room: room.clone() }));
    let unknown = UnverifiedGroupInfoResponse::no_such_room(room.clone());
    assert_eq!(unknown.verify(&room), Ok(GroupInfoResponse::NoSuchRoom { room }));
}

#[test]
fn credential_requests_prove_the_key() {
    for suite in CipherSuite::ALL {
        let item = credential_item(&mut Gen::new(9), suite);
        let octets = UnverifiedCredentialItem::from(item.clone()).encode();
        assert_eq!(UnverifiedCredentialItem::decode(&octets).unwrap().verify(), Ok(item));
        let mut octets = octets;
        *octets.last_mut().unwrap() ^= 1;
        let forged = UnverifiedCredentialItem::decode(&octets).unwrap();
        assert_eq!(forged.verify(), Err(RequestVerifyError::Signature(VerifyError)));
    }
    for name in ClaimName::ALL {
        assert_eq!(claim_from_code(claim_code(name)), Some(name));
    }
    let mut tbs = credential_item(&mut Gen::new(9), CipherSuite::X25519Aes128Ed25519).tbs().clone();
    tbs.disclose = vec![ClaimName::Email, ClaimName::Email];
    assert_eq!(CredentialItemTbs::decode(&tbs.encode()), rule("disclose", "a claim stands twice"));
    tbs.disclose = vec![ClaimName::Email];
    let last = tbs.encode().len() - 1;
    assert_eq!(CredentialItemTbs::decode(&with(&tbs, last - 1, 9)), value("disclose", 9));
    for code in [0, 4] {
        assert_eq!(CredentialItemTbs::decode(&with(&tbs, last, code)), value("format", code.into()));
    }
}

#[test]
fn a_disclosure_says_its_format_and_shows_nothing_else() {
    let secret = b"a token with a name".to_vec();
    let each = [
        (IssuedDisclosure::X509(vec![secret.clone()]), DisclosureFormat::X509),
        (IssuedDisclosure::SdJwt(secret.clone()), DisclosureFormat::SdJwt),
        (IssuedDisclosure::SdCwt(secret), DisclosureFormat::SdCwt),
    ];
    for (disclosure, format) in each {
        assert_eq!(disclosure.format(), format);
        assert_eq!(format!("{disclosure:?}"), format!("IssuedDisclosure({format}, 19 octets)"));
        assert_eq!(IssuedDisclosure::decode(&with(&disclosure, 0, 4)), value("format", 4));
    }
    assert_eq!(IssuedDisclosure::decode(&[1, 0]), rule("disclosure", "empty"));
}

#[test]
fn a_new_pseudonym_is_asked_for_with_a_key_that_is_held() {
    for suite in CipherSuite::ALL {
        let item = new_pseudonym(&mut Gen::new(9), suite);
        let octets = UnverifiedNewPseudonym::from(item.clone()).encode();
        assert_eq!(UnverifiedNewPseudonym::decode(&octets).unwrap().verify(), Ok(item.clone()));
        let mut forged = octets;
        *forged.last_mut().unwrap() ^= 1;
        let forged = UnverifiedNewPseudonym::decode(&forged).unwrap();
        assert!(matches!(forged.verify(), Err(RequestVerifyError::Signature(_))));
        let other = Gen::new(77).signer(suite);
        assert_eq!(NewPseudonym::sign(item.tbs().clone(), &other), Err(RequestSignError::Key));
        // What is shown for a new pseudonym is not good for one that is known, whatever its name.
        let subject = sample(3);
        let tbs = item.tbs().clone().with_subject(subject);
        assert_eq!((&tbs.public_key, &tbs.disclose), (&item.tbs().public_key, &item.tbs().disclose));
    }
}

#[test]
fn local_rules_hold() {
    assert_eq!(PseudonymsRequest::decode(&[0, 0]), value("count", 0));
    assert_eq!(PseudonymsRequest::decode(&[3, 0xe9]), value("count", 1001));
    let account: UserUri = "mimi://a.example/u/alice".parse().unwrap();
    let response = PseudonymsResponse { pseudonyms: vec![account] };
    assert_eq!(PseudonymsResponse::decode(&response.encode()), rule("pseudonyms", "a URI is no pseudonym"));
    assert_eq!(PseudonymsResponse::decode(&[0]), rule("pseudonyms", "empty"));
    assert_eq!(CredentialsRequest::decode(&[0]), rule("items", "empty"));
    assert_eq!(AcquireRequest::decode(&[0]), rule("items", "empty"));
    let mut acquired: AcquireResponse = sample(1);
    acquired.items[0].pseudonym = "mimi://a.example/u/alice".parse().unwrap();
    assert_eq!(AcquireResponse::decode(&acquired.encode()), rule("items", "a URI is no pseudonym"));
    assert_eq!(AcquireResponse::decode(&[0]), rule("items", "empty"));
    let event = InboxEvent { sequence: 4, body: InboxBody::RoomDestroyed { room: sample(1) } };
    let twice = InboxResponse { events: vec![event.clone(), event] };
    assert_eq!(InboxResponse::decode(&twice.encode()), rule("events", "the numbers do not rise"));
}

#[test]
fn an_appeal_has_a_text_and_a_standing_known_numbers() {
    let appeal = |text: &str| AppealRequest::decode(&AppealRequest { text: text.into() }.encode());
    assert_eq!(appeal(&"x".repeat(2000)).unwrap().text.len(), 2000);
    assert_eq!(appeal(" "), rule("text", "empty"));
    assert_eq!(appeal(&"x".repeat(2001)), rule("text", "longer than 2000 octets"));
    assert_eq!(format!("{:?}", appeal("it was not me").unwrap()), "AppealRequest(..)");
    for remedy in StandingRemedy::ALL {
        for appeal in AppealState::ALL {
            let standing =
                Standing { remedy: *remedy, since: mimi_pseudonym::Timestamp::from_secs(7), appeal: *appeal };
            assert_eq!(Standing::decode(&standing.encode()), Ok(standing));
        }
    }
    assert_eq!(Standing::decode(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0]), value("remedy", 4));
    assert_eq!(Standing::decode(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 4]), value("appeal", 4));
    let openings = |count| OpeningsResponse { size: 99, root: [1; 32], entries: vec![vec![1, 2]; count] };
    assert_eq!(OpeningsResponse::decode(&openings(64).encode()), Ok(openings(64)));
    assert_eq!(OpeningsResponse::decode(&openings(65).encode()), rule("entries", "too many elements"));
}

#[test]
fn a_profile_has_fields_with_values_and_one_handle() {
    let entry = |field, value: &str| ProfileEntry { field, value: value.into(), visibility: Visibility::Exact };
    let refused = |field, value: &str| ProfileEntry::decode(&entry(field, value).encode());
    let wrong = |text| rule("ProfileEntry", text);
    assert_eq!(refused(SearchField::PartialName, "x"), wrong("a kind of search is no field"));
    assert_eq!(refused(SearchField::WholeProfile, "x"), wrong("a kind of search is no field"));
    assert_eq!(refused(SearchField::Handle, "im:alice@a.example"), wrong("the handle is the account's"));
    assert_eq!(refused(SearchField::Email, " "), wrong("a field without a value"));
    assert_eq!(refused(SearchField::Nick, &"x".repeat(1025)), wrong("a value of more than 1024 octets"));
    let profile = |entries| SetProfile::decode(&SetProfile { entries }.encode());
    let handle = entry(SearchField::Handle, "");
    assert_eq!(profile(vec![handle.clone(), handle]), rule("entries", "two handles"));
    let nick = entry(SearchField::Nick, "x");
    assert_eq!(profile(vec![nick.clone(); 65]), rule("entries", "too many elements"));
    assert!(profile(vec![nick.clone(); 64]).is_ok());
    let entry = entry(SearchField::Email, "smith@a.example");
    assert!(!format!("{entry:?}").contains("smith"), "the value is not shown");
}

#[test]
fn secrets_and_contents_are_not_in_debug() {
    let request = RegisterAccountRequest {
        handle: "alice".into(),
        display_name: "Alice Smith".into(),
        email: "smith@a.example".into(),
        device_name: "phone".into(),
    };
    assert_eq!(format!("{request:?}"), "RegisterAccountRequest { handle: \"alice\", .. }");
    let mut tbs: GroupInfoRequestTbs = sample(1);
    tbs.joining_code = Some(b"open sesame".to_vec());
    let shown = format!("{tbs:?}");
    assert!(shown.contains("redacted") && !shown.contains("111, 112, 101, 110"), "{shown}");
    let message = AbusiveMessage { message_content: vec![77; 3], ..sample(1) };
    assert!(format!("{message:?}").starts_with("AbusiveMessage(3 octets"));
}
