//! A provider in memory that answers a device's calls as the messages of `mimi_wire::local` say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mimi_abuse::franking::{HubKeys, MacKey, VerifiedReport};
use mimi_credential::{Issuer, Validity};
use mimi_disclosure::{issue_sd_cwt, issue_sd_jwt};
use mimi_flow::{Answer, Call, Command, FlowId, Request};
use mimi_mls::{CommitBundle, CommitRefusal, HubRoom, UnverifiedKeyPackage};
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, ClientUri, DisclosureFormat, Domain, Entropy, RoomUri, SignatureScheme, Signer,
    SigningKey, Timestamp, UserUri, Wire,
};
use mimi_room::KeyPackagePurpose;
use mimi_wire::{
    AbuseReport, ClientKeyMaterial, ClientMaterial, CommitReportTbs, ConsentEntry, ConsentOperation, ConsentScope,
    Credential, ExternalSender, FanoutEvent, FanoutMessage, Frank, FrankingAgentData, GroupInfoOption,
    IdentifierQueryCode, IdentifierResponse, KeyMaterialResponse, KeyMaterialUserCode, KeyPackage, KeyPackageRef,
    Problem, RatchetTreeOption, ServerFrankingContext, SubmitMessageRequest, SubmitMessageResponse, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse,
    local::{
        Accepted, AcquireRequest, AcquireResponse, ClaimOwnRequest, ConsentSettings, CreateRoomRequest,
        CredentialItemTbs, CredentialsRequest, CredentialsResponse, DeviceClient, DeviceClientsRequest,
        DeviceClientsResponse, HubFrankingAgent, HubKeyMaterialRequest, HubSender, InboxBody, IssuedCredential,
        IssuedDisclosure, IssuedPseudonym, LocalIdentifierQuery, ProviderInfo, RemoveDeviceRequest, UploadBatch,
        UploadKeyPackages, UploadResponse,
    },
};

use super::{DAY, World};

pub struct Stored {
    pub reference: KeyPackageRef,
    owner: UserUri,
    client: ClientUri,
    device: usize,
    suite: u16,
    initial_only: bool,
    not_after: Timestamp,
    claimed: bool,
    key_package: KeyPackage,
}

impl Stored {
    pub fn owner(&self) -> &UserUri {
        &self.owner
    }

    pub fn as_key_package(&self) -> &KeyPackage {
        &self.key_package
    }

    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

pub struct Provider {
    pub domain: Domain,
    pub issuer: Issuer,
    pub sender: ExternalSender,
    pub hub_key: SigningKey,
    /// Keys that sign stamps, the newest last, and the secrets behind the stamps.
    pub stampers: Vec<SigningKey>,
    secrets: Vec<(Timestamp, MacKey)>,
    /// Whether it stamps messages at all.
    pub stamps: bool,
    /// Whether stamps are left out on the way to receivers.
    pub strips: bool,
    /// Reports whose messages were recognised.
    pub abuse: Vec<VerifiedReport>,
    /// Join links of its rooms: the role, and how many may still join.
    pub links: BTreeMap<(RoomUri, [u8; 32]), (u32, Option<u32>)>,
    /// Who has shown which code.
    pub visitors: BTreeMap<(RoomUri, Vec<u8>), [u8; 32]>,
    /// What members do not go along with.
    pub reports: Vec<CommitReportTbs>,
    /// How many messages somebody has sent, where that is counted.
    pub counted: BTreeMap<(RoomUri, UserUri), u32>,
    /// Account, and its devices.
    pub accounts: BTreeMap<UserUri, Vec<usize>>,
    pub pseudonyms: BTreeMap<UserUri, UserUri>,
    clients: BTreeMap<(usize, UserUri), ClientUri>,
    /// Pseudonyms that a request was answered with, given once more to the same one.
    drawn: BTreeMap<(usize, u32), Vec<UserUri>>,
    pub key_packages: Vec<Stored>,
    pub rooms: BTreeMap<RoomUri, HubRoom>,
    /// Own clients in rooms of any hub.
    pub members: BTreeMap<RoomUri, BTreeMap<ClientUri, usize>>,
    /// Messages that were accepted.
    pub(super) seen: BTreeMap<(RoomUri, Vec<u8>), Timestamp>,
    /// Answers to claims, given once more to the same request.
    claims: BTreeMap<(usize, u32), Vec<u8>>,
    /// Who may have KeyPackages of whom.
    pub consents: BTreeSet<(UserUri, UserUri)>,
    /// Accounts that not everybody may connect with.
    pub closed: BTreeSet<UserUri>,
}

pub fn issuer(name: &str, entropy: &mut dyn Entropy, now: Timestamp) -> Issuer {
    let key = SigningKey::generate(SignatureScheme::EcdsaP256Sha256, entropy).unwrap();
    let validity = Validity { not_before: now.before(DAY), not_after: now.after(DAY * 3650) };
    Issuer::create(name.parse().unwrap(), Arc::new(key), serial(entropy), validity).unwrap()
}

/// A serial number is positive.
pub fn serial(entropy: &mut dyn Entropy) -> [u8; 16] {
    let mut bits = entropy.bits128();
    bits[0] = bits[0] & 0x7f | 0x40;
    bits
}

pub fn claims_of(user: &UserUri) -> Claims {
    let mut claims = Claims::default();
    claims.insert(ClaimName::UserUri, user.as_str());
    claims.insert(ClaimName::Handle, format!("im:{}@{}", user.name(), user.domain()));
    claims.insert(ClaimName::DisplayName, user.name());
    claims.insert(ClaimName::Email, format!("{}@{}", user.name(), user.domain()));
    claims
}

impl Provider {
    pub fn new(name: &str, suite: CipherSuite, entropy: &mut dyn Entropy, now: Timestamp) -> Self {
        let issuer = issuer(name, entropy, now);
        let key = SigningKey::generate(suite.signature_scheme(), entropy).unwrap();
        let sender = ExternalSender {
            signature_key: key.public_key().as_bytes().to_vec(),
            credential: Credential::x509(vec![issuer.certificate().to_vec()]),
        };
        Self {
            domain: name.parse().unwrap(),
            issuer,
            sender,
            hub_key: key,
            stampers: vec![SigningKey::generate(suite.signature_scheme(), entropy).unwrap()],
            secrets: vec![(Timestamp::default(), MacKey::generate(entropy))],
            stamps: true,
            strips: false,
            abuse: Vec::new(),
            links: BTreeMap::new(),
            visitors: BTreeMap::new(),
            reports: Vec::new(),
            counted: BTreeMap::new(),
            accounts: BTreeMap::new(),
            pseudonyms: BTreeMap::new(),
            clients: BTreeMap::new(),
            drawn: BTreeMap::new(),
            key_packages: Vec::new(),
            rooms: BTreeMap::new(),
            members: BTreeMap::new(),
            seen: BTreeMap::new(),
            claims: BTreeMap::new(),
            consents: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    /// Who stamps messages in new rooms.
    pub fn agent(&self) -> Option<FrankingAgentData> {
        let newest = self.stampers.last().filter(|_| self.stamps)?;
        let credential = Credential::basic(format!("mimi://{}", self.domain).as_bytes());
        Some(FrankingAgentData { franking_signature_key: newest.public_key().as_bytes().to_vec(), credential })
    }

    /// Takes other keys for stamps from a time on.
    pub fn turn(&mut self, suite: CipherSuite, entropy: &mut dyn Entropy, now: Timestamp) {
        self.stampers.push(SigningKey::generate(suite.signature_scheme(), entropy).unwrap());
        self.secrets.push((now, MacKey::generate(entropy)));
    }

    fn hub_keys(&self) -> HubKeys {
        let public = self.stampers.iter().map(|key| key.public_key().clone()).collect();
        HubKeys::new(self.secrets.clone(), public)
    }

    fn stamp(
        &self,
        hub: &HubRoom,
        request: &SubmitMessageRequest,
        suite: CipherSuite,
        now: Timestamp,
    ) -> Option<Frank> {
        let agent = hub.franking_agent()?;
        let frank_aad = hub.frank_aad(request.message.message()).unwrap()?;
        let signer = self.stampers.iter().find(|key| key.public_key().as_bytes() == agent.franking_signature_key);
        let (sender, room) = (request.sending_user.clone(), hub.state().room().clone());
        let context = ServerFrankingContext { sender, room, accepted: now };
        Some(self.hub_keys().frank(&frank_aad, context, suite, signer.unwrap()).unwrap())
    }

    fn account_of(&self, device: usize) -> UserUri {
        let found = self.accounts.iter().find(|(_, devices)| devices.contains(&device));
        found.map(|(user, _)| user.clone()).unwrap()
    }

    fn owns(&self, device: usize, user: &UserUri) -> bool {
        let account = self.account_of(device);
        *user == account || self.pseudonyms.get(user) == Some(&account)
    }

    pub(super) fn is_in_room(&self, device: usize, room: &RoomUri) -> bool {
        self.members.get(room).is_some_and(|clients| clients.values().any(|other| *other == device))
    }

    /// For how many of its devices a user has KeyPackages left.
    pub fn spare(&self, owner: &UserUri) -> usize {
        let left = self.key_packages.iter().filter(|stored| stored.owner == *owner && !stored.claimed);
        left.map(|stored| stored.device).collect::<BTreeSet<_>>().len()
    }

    pub fn claim(
        &mut self,
        owner: &UserUri,
        initial_only: bool,
        suites: &[u16],
        exclude: Option<&ClientUri>,
        now: Timestamp,
    ) -> KeyMaterialResponse {
        let mut taken = BTreeSet::new();
        let mut clients = Vec::new();
        for stored in &mut self.key_packages {
            let fits = stored.owner == *owner
                && stored.initial_only == initial_only
                && suites.contains(&stored.suite)
                && exclude != Some(&stored.client)
                && !stored.claimed
                && now < stored.not_after;
            if fits && taken.insert(stored.device) {
                stored.claimed = true;
                let material = ClientMaterial::KeyPackage(stored.key_package.clone());
                clients.push(ClientKeyMaterial { client: stored.client.clone(), material });
            }
        }
        let status = match clients.is_empty() {
            true => KeyMaterialUserCode::NoCompatibleMaterial,
            false => KeyMaterialUserCode::Success,
        };
        KeyMaterialResponse::new(status, owner.clone(), clients).unwrap()
    }
}

pub(super) type Served = Result<Vec<u8>, Problem>;

impl World {
    /// What the device's provider answers.
    pub fn serve(&mut self, device: usize, request: &Request) -> Answer {
        let own = self.profiles[device].domain().clone();
        let body = request.body.as_slice();
        let served = match &request.call {
            Call::Pseudonyms => self.pseudonyms(device, &own, body),
            Call::Credentials => self.credentials(device, &own, body),
            Call::UploadKeyPackages => {
                let upload = UploadKeyPackages::decode(body).map_err(|_| Problem::Malformed);
                upload.and_then(|upload| self.upload(device, &own, vec![upload], false))
            }
            Call::UploadBatch => {
                let batch = UploadBatch::decode(body).map_err(|_| Problem::Malformed);
                batch.and_then(|batch| self.upload(device, &own, batch.uploads, true))
            }
            Call::Consent => self.consent(device, body),
            Call::ConsentSettings => {
                let provider = self.providers.get_mut(&own).unwrap();
                let account = provider.account_of(device);
                match ConsentSettings::decode(body).map(|settings| settings.initial_connections) {
                    Ok(true) => drop(provider.closed.remove(&account)),
                    _ => drop(provider.closed.insert(account)),
                }
                Ok(Vec::new())
            }
            Call::DeviceClients => self.device_clients(device, &own, body),
            Call::RemoveDevice => self.remove_device(device, &own, body),
            Call::ClaimOwn => self.claim_own(device, &own, body),
            Call::CreateRoom => self.create_room(device, &own, body),
            Call::DestroyRoom(room) => self.destroy_room(device, &own, room),
            Call::KeyMaterial => self.key_material(device, &own, body),
            Call::IdentifierQuery => self.identifier_query(body),
            Call::Update(room) => self.update_by(device, &own, room, body),
            Call::GroupInfo(room) => self.group_info(room, body),
            Call::JoinLinks(room) => self.join_links(room, body),
            Call::ReportCommit(room) => self.report(room, body),
            Call::ReportAbuse(room) => self.report_abuse(room, body),
            Call::Info => Ok(self.info(&own)),
            Call::SubmitMessage(room) if self.providers[&own].is_in_room(device, room) => {
                let request = SubmitMessageRequest::decode(body).unwrap();
                assert!(self.providers[&own].owns(device, &request.sending_user));
                self.submit(room, request)
            }
            _ => Err(Problem::UnknownRoom),
        };
        match served {
            Ok(body) => Answer::Done(body),
            Err(problem) => Answer::Refused(problem),
        }
    }

    fn info(&self, own: &Domain) -> Vec<u8> {
        let provider = &self.providers[own];
        let hub = HubSender { cipher_suite: self.suite, sender: provider.sender.clone() };
        let agent = provider.agent().map(|agent| HubFrankingAgent { cipher_suite: self.suite, agent });
        let (domain, issuer_certificates) = (own.clone(), vec![provider.issuer.certificate().to_vec()]);
        let franking_agents = agent.into_iter().collect();
        ProviderInfo { domain, hub_senders: vec![hub], issuer_certificates, franking_agents }.encode()
    }

    fn report_abuse(&mut self, room: &RoomUri, body: &[u8]) -> Served {
        let report = AbuseReport::decode(body).map_err(|_| Problem::Malformed)?;
        let hub = self.providers.get_mut(room.domain()).ok_or(Problem::UnknownRoom)?;
        let verified = hub.hub_keys().verify_report(room, &report).map_err(|_| Problem::SignatureInvalid)?;
        hub.abuse.push(verified);
        Ok(Vec::new())
    }

    fn pseudonyms(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = AcquireRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let wanted: Result<Vec<_>, _> = request.items.into_iter().map(|item| item.verify()).collect();
        let wanted = wanted.map_err(|_| Problem::SignatureInvalid)?;
        let key = (device, self.serving);
        let again = self.providers[own].drawn.get(&key).cloned();
        let pseudonyms = again.clone().unwrap_or_else(|| {
            let mut drawn: Vec<_> = wanted.iter().map(|_| UserUri::pseudonym(own, self.entropy.bits128())).collect();
            drawn.sort();
            drawn
        });
        let provider = self.providers.get_mut(own).unwrap();
        let account = provider.account_of(device);
        for pseudonym in &pseudonyms {
            provider.pseudonyms.insert(pseudonym.clone(), account.clone());
        }
        provider.drawn.insert(key, pseudonyms.clone());
        let others: Vec<_> = provider.accounts[&account].iter().copied().filter(|other| *other != device).collect();
        for other in others.into_iter().filter(|_| again.is_none()) {
            self.put(other, InboxBody::PseudonymsAssigned { pseudonyms: pseudonyms.clone() });
        }
        let items = pseudonyms.into_iter().zip(&wanted).map(|(pseudonym, wanted)| {
            let credential = self.issue(device, own, &wanted.tbs().clone().with_subject(pseudonym.clone()));
            IssuedPseudonym { pseudonym, credential }
        });
        Ok(AcquireResponse { items: items.collect() }.encode())
    }

    fn credentials(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = CredentialsRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let mut items = Vec::new();
        for item in request.items {
            let item = item.verify().map_err(|_| Problem::SignatureInvalid)?;
            if !self.providers[own].owns(device, &item.tbs().subject) {
                return Err(Problem::ForeignUser);
            }
            items.push(self.issue(device, own, item.tbs()));
        }
        Ok(CredentialsResponse { items }.encode())
    }

    /// Has a device ask for pseudonyms, and its provider give it these names with credentials that hold.
    pub fn prepare_as(&mut self, device: usize, names: &[UserUri]) -> FlowId {
        self.hold_answer = Some((device, "pseudonyms"));
        let pseudonyms = u16::try_from(names.len()).unwrap();
        let flow = self.command(device, Command::Prepare { pseudonyms }).unwrap().unwrap();
        self.run();
        let (_, request, _) = self.answers[device].front().unwrap();
        let wanted = AcquireRequest::decode(&request.body).unwrap().items;
        let own = self.profiles[device].domain().clone();
        let items = names.iter().zip(wanted).map(|(pseudonym, wanted)| {
            let tbs = wanted.verify().unwrap().tbs().clone();
            // A foreign name is one that this provider cannot certify.
            let subject =
                if pseudonym.domain() == &own { pseudonym.clone() } else { UserUri::pseudonym(&own, [9; 16]) };
            let credential = self.issue(device, &own, &tbs.with_subject(subject));
            IssuedPseudonym { pseudonym: pseudonym.clone(), credential }
        });
        let body = AcquireResponse { items: items.collect() }.encode();
        self.answers[device].front_mut().unwrap().2 = Answer::Done(body);
        self.hold_answer = None;
        self.run();
        flow
    }

    fn issue(&mut self, device: usize, own: &Domain, tbs: &CredentialItemTbs) -> IssuedCredential {
        let validity = Validity { not_before: self.now.before(DAY / 24), not_after: self.now.after(DAY * 90) };
        let provider = self.providers.get_mut(own).unwrap();
        let account = provider.account_of(device);
        let fresh = ClientUri::pseudonym(own, self.entropy.bits128());
        let client = provider.clients.entry((device, tbs.subject.clone())).or_insert(fresh).clone();
        let serials = (serial(&mut self.entropy), serial(&mut self.entropy));
        let leaf = provider.issuer.issue_leaf(&tbs.subject, &client, &tbs.public_key, serials.0, validity).unwrap();
        let claims = claims_of(&account);
        let disclosure = (!tbs.disclose.is_empty()).then(|| {
            let wanted = claims.iter().filter(|(name, _)| tbs.disclose.contains(name));
            let claims: Claims = wanted.map(|(name, value)| (name, value.to_owned())).collect();
            let (issuer, key) = (&provider.issuer, &tbs.public_key);
            match tbs.format {
                DisclosureFormat::SdJwt => {
                    let token = issue_sd_jwt(issuer.signer(), own, &claims, key, validity, &mut self.entropy);
                    IssuedDisclosure::SdJwt(token.unwrap())
                }
                DisclosureFormat::SdCwt => {
                    let token = issue_sd_cwt(issuer.signer(), own, &claims, key, validity, &mut self.entropy);
                    IssuedDisclosure::SdCwt(token.unwrap())
                }
                _ => {
                    let chain = issuer.issue_identity(&claims, key, serials.1, validity).unwrap();
                    IssuedDisclosure::X509(chain.certificates().to_vec())
                }
            }
        });
        IssuedCredential { client, leaf: leaf.certificates().to_vec(), disclosure }
    }

    fn upload(&mut self, device: usize, own: &Domain, uploads: Vec<UploadKeyPackages>, instead: bool) -> Served {
        let provider = self.providers.get_mut(own).unwrap();
        for upload in &uploads {
            assert!(provider.owns(device, &upload.owner));
            let stays = |stored: &Stored| stored.owner != upload.owner || stored.device != device || stored.claimed;
            provider.key_packages.retain(|stored| !instead || stays(stored));
        }
        let each = |upload: UploadKeyPackages| {
            upload.key_packages.into_iter().map(move |key_package| (upload.owner.clone(), key_package))
        };
        let each: Vec<_> = uploads.into_iter().flat_map(each).collect();
        let accepted = u32::try_from(each.len()).unwrap();
        for (owner, key_package) in each {
            let verified = UnverifiedKeyPackage::new(key_package.clone());
            let verified = verified.verify(&owner, self.suite, &self.trust, self.now);
            let verified = verified.map_err(|_| Problem::SignatureInvalid)?;
            if provider.key_packages.iter().any(|stored| stored.reference == *verified.reference()) {
                continue;
            }
            provider.key_packages.push(Stored {
                reference: verified.reference().clone(),
                owner: verified.user().clone(),
                client: verified.client().clone(),
                device,
                suite: self.suite.code(),
                initial_only: verified.purpose() == KeyPackagePurpose::InitialOnly,
                not_after: verified.not_after(),
                claimed: false,
                key_package,
            });
        }
        Ok(UploadResponse { accepted }.encode())
    }

    /// A device of the same account, by the client that it is for the account.
    fn sibling(&self, device: usize, own: &Domain, client: &ClientUri) -> Result<usize, Problem> {
        let provider = &self.providers[own];
        let siblings = &provider.accounts[&self.profiles[device]];
        let found = siblings.iter().find(|other| self.devices[**other].profile().client == *client);
        found.copied().filter(|_| siblings.contains(&device)).ok_or(Problem::ForeignUser)
    }

    fn device_clients(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = DeviceClientsRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let lost = self.sibling(device, own, &request.client)?;
        let clients = self.providers[own].clients.iter().filter(|((of, _), _)| *of == lost);
        let clients = clients.map(|((_, user), client)| DeviceClient { user: user.clone(), client: client.clone() });
        Ok(DeviceClientsResponse { clients: clients.collect() }.encode())
    }

    fn remove_device(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = RemoveDeviceRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let lost = self.sibling(device, own, &request.client)?;
        assert_ne!(lost, device);
        let account = self.profiles[device].clone();
        let provider = self.providers.get_mut(own).unwrap();
        provider.accounts.get_mut(&account).unwrap().retain(|other| *other != lost);
        provider.key_packages.retain(|stored| stored.device != lost);
        provider.clients.retain(|(of, _), _| *of != lost);
        provider.members.values_mut().for_each(|clients| clients.retain(|_, of| *of != lost));
        self.inboxes[lost].clear();
        self.codes.push(request.enrolment_code);
        Ok(Vec::new())
    }

    fn claim_own(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = ClaimOwnRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let (now, serving) = (self.now, self.serving);
        let provider = self.providers.get_mut(own).unwrap();
        assert!(provider.owns(device, &request.user));
        if let Some(answer) = provider.claims.get(&(device, serving)) {
            return Ok(answer.clone());
        }
        let exclude = request.exclude.as_ref();
        let answer = provider.claim(&request.user, false, &request.cipher_suite_codes, exclude, now).encode();
        provider.claims.insert((device, serving), answer.clone());
        Ok(answer)
    }

    fn key_material(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let request = HubKeyMaterialRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let (now, serving) = (self.now, self.serving);
        assert_eq!(request.hub.as_ref(), Some(own));
        let request = request.request.verify().map_err(|_| Problem::SignatureInvalid)?;
        let tbs = request.tbs();
        let provider = &self.providers[own];
        assert!(provider.owns(device, &tbs.requesting_user));
        let room = provider.rooms.get(tbs.room.as_ref().unwrap()).ok_or(Problem::UnknownRoom)?;
        assert!(room.state().participants().role_of(&tbs.requesting_user).is_some());
        let target = self.providers.get_mut(tbs.target_user.domain()).ok_or(Problem::UnknownRoom)?;
        if let Some(answer) = target.claims.get(&(device, serving)) {
            return Ok(answer.clone());
        }
        let granted = target.consents.contains(&(tbs.requesting_user.clone(), tbs.target_user.clone()));
        let refused = !granted && (tbs.target_user.is_pseudonym() || target.closed.contains(&tbs.target_user));
        if refused {
            let code = KeyMaterialUserCode::NoConsent;
            return Ok(KeyMaterialResponse::new(code, tbs.target_user.clone(), vec![]).unwrap().encode());
        }
        let initial = !tbs.target_user.is_pseudonym();
        let answer = target.claim(&tbs.target_user, initial, &tbs.acceptable_cipher_suites, None, now).encode();
        target.claims.insert((device, serving), answer.clone());
        Ok(answer)
    }

    fn consent(&mut self, device: usize, body: &[u8]) -> Served {
        let entry = ConsentEntry::decode(body).map_err(|_| Problem::Malformed)?;
        let ConsentScope { requester, target, .. } = entry.scope.clone();
        let own = self.profiles[device].domain().clone();
        let speaker = match entry.operation {
            ConsentOperation::Request | ConsentOperation::Cancel => &requester,
            _ => &target,
        };
        assert!(self.providers[&own].owns(device, speaker));
        let other = if *speaker == requester { &target } else { &requester };
        let there = self.providers.get_mut(other.domain()).unwrap();
        let account = there.pseudonyms.get(other).unwrap_or(other).clone();
        let mut devices = there.accounts.get(&account).cloned().unwrap_or_default();
        let home = self.providers.get_mut(target.domain()).unwrap();
        match entry.operation {
            ConsentOperation::Grant { .. } => drop(home.consents.insert((requester.clone(), target.clone()))),
            ConsentOperation::Revoke => {
                home.consents.remove(&(requester.clone(), target.clone()));
                devices.clear();
            }
            _ => {}
        }
        for device in devices {
            self.put(device, InboxBody::Consent { entry: entry.clone() });
        }
        if *speaker == target {
            let account = self.providers[&own].account_of(device);
            let others: Vec<_> =
                self.providers[&own].accounts[&account].iter().copied().filter(|d| *d != device).collect();
            for other in others {
                self.put(other, InboxBody::Consent { entry: entry.clone() });
            }
        }
        Ok(Vec::new())
    }

    fn identifier_query(&mut self, body: &[u8]) -> Served {
        let query = LocalIdentifierQuery::decode(body).map_err(|_| Problem::Malformed)?;
        let provider = self.providers.get(&query.domain).ok_or(Problem::Unavailable)?;
        let wanted = &query.request.elements[0].value;
        let handle = |user: &&UserUri| format!("im:{}@{}", user.name(), user.domain()) == *wanted;
        let uris: Vec<_> = provider.accounts.keys().filter(handle).cloned().collect();
        let code = if uris.is_empty() { IdentifierQueryCode::NotFound } else { IdentifierQueryCode::Success };
        Ok(IdentifierResponse { code, uris, profiles: Vec::new(), extensions: Default::default() }.encode())
    }

    fn create_room(&mut self, device: usize, own: &Domain, body: &[u8]) -> Served {
        let CreateRoomRequest { room, group_info, ratchet_tree } =
            CreateRoomRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let (trust, now) = (self.trust.clone(), self.now);
        let provider = self.providers.get_mut(own).unwrap();
        let key = (room.clone(), body.to_vec());
        if let Some(accepted) = provider.seen.get(&key) {
            return Ok(Accepted { accepted: *accepted }.encode());
        }
        let hub = HubRoom::create(&room, &group_info, &ratchet_tree, &provider.sender, &trust, now);
        let hub = hub.map_err(|_| Problem::SignatureInvalid)?.0;
        let client = hub.clients()[0].1.clone();
        provider.members.entry(room.clone()).or_default().insert(client, device);
        assert!(provider.rooms.insert(room, hub).is_none(), "a room is made twice");
        provider.seen.insert(key, now);
        Ok(Accepted { accepted: now }.encode())
    }

    fn destroy_room(&mut self, device: usize, own: &Domain, room: &RoomUri) -> Served {
        let provider = self.providers.get_mut(own).unwrap();
        if !provider.is_in_room(device, room) {
            return Err(Problem::UnknownRoom);
        }
        if room.domain() != own {
            let clients = provider.members.get_mut(room).unwrap();
            clients.retain(|_, other| *other != device);
            return Ok(Vec::new());
        }
        let hub = provider.rooms.remove(room).ok_or(Problem::UnknownRoom)?;
        let mine = provider.members.remove(room).unwrap();
        let may = hub
            .clients()
            .iter()
            .any(|(user, client)| mine.get(client) == Some(&device) && hub.state().may_destroy(user).is_ok());
        assert!(may);
        provider.seen.retain(|(other, _), _| other != room);
        let mut told: BTreeSet<_> = mine.into_values().collect();
        // Whoever has not read everything of the room will not do so now.
        for device in provider.accounts.values().flatten() {
            let inbox = &mut self.inboxes[*device];
            let before = inbox.len();
            inbox.retain(|event| !matches!(&event.body, InboxBody::Fanout { room: of, .. } if of == room));
            if inbox.len() < before {
                told.insert(*device);
            }
        }
        for device in told {
            self.put(device, InboxBody::RoomDestroyed { room: room.clone() });
        }
        Ok(Vec::new())
    }

    /// A commit at the room's hub.
    pub fn update(&mut self, from: &Domain, room: &RoomUri, body: &[u8]) -> Served {
        let request = UpdateRequest::decode(body).map_err(|_| Problem::Malformed)?;
        let (commit, welcome, group_info) = match request {
            UpdateRequest::Commit { commit, welcome, group_info: GroupInfoOption::Full(group_info), .. } => {
                (commit, welcome, group_info)
            }
            UpdateRequest::Proposal { proposal, more } => return self.propose(from, room, proposal, more),
            _ => return Err(Problem::Malformed),
        };
        let (trust, now) = (self.trust.clone(), self.now);
        let provider = self.providers.get_mut(room.domain()).unwrap();
        let key = (room.clone(), commit.encode());
        let answer = |outcome| Ok(UpdateRoomResponse { description: String::new(), outcome }.encode());
        if let Some(accepted) = provider.seen.get(&key) {
            return answer(UpdateOutcome::Accepted { accepted: *accepted });
        }
        let hub = provider.rooms.get_mut(room).ok_or(Problem::UnknownRoom)?;
        let bundle = CommitBundle { commit: commit.clone().into_message(), welcome: welcome.clone(), group_info };
        let accepted = match hub.accept(&bundle, from, false, &trust, now) {
            Ok(accepted) => accepted,
            Err(CommitRefusal::WrongEpoch { current }) => {
                return answer(UpdateOutcome::WrongEpoch { current_epoch: current });
            }
            Err(CommitRefusal::Omits) => {
                return answer(UpdateOutcome::InvalidProposal { proposals: Vec::new() });
            }
            Err(refusal) => {
                self.refusals.push(refusal);
                return answer(UpdateOutcome::NotAllowed);
            }
        };
        provider.seen.insert(key, now);
        self.fan_out(room, FanoutEvent::Commit { commit, external_proposals: Vec::new() }, &accepted.recipients);
        for provider in self.providers.values_mut() {
            if let Some(clients) = provider.members.get_mut(room) {
                // A follower's clients stay until they say that they have gone.
                if provider.domain == *room.domain() {
                    clients.retain(|client, _| !accepted.removed.contains(client));
                }
            }
        }
        if let Some(welcome) = welcome {
            let ratchet_tree = RatchetTreeOption::Full(accepted.ratchet_tree.clone());
            let mut to = BTreeSet::new();
            for provider in self.providers.values_mut() {
                for (reference, client) in &accepted.added {
                    let found = provider.key_packages.iter_mut().find(|stored| stored.reference == *reference);
                    if let Some(stored) = found {
                        stored.claimed = true;
                        provider.members.entry(room.clone()).or_default().insert(client.clone(), stored.device);
                        to.insert(stored.device);
                    }
                }
            }
            let event = FanoutEvent::Welcome { welcome, ratchet_tree };
            for device in to {
                let message = FanoutMessage { timestamp: now, event: event.clone() };
                self.put(device, InboxBody::Fanout { room: room.clone(), message });
            }
        }
        answer(UpdateOutcome::Accepted { accepted: now })
    }

    /// A message at the room's hub.
    pub fn submit(&mut self, room: &RoomUri, request: SubmitMessageRequest) -> Served {
        let (now, suite) = (self.now, self.suite);
        let provider = self.providers.get_mut(room.domain()).unwrap();
        let hub = provider.rooms.get(room).ok_or(Problem::UnknownRoom)?;
        let key = (room.clone(), request.message.encode());
        if let Some(accepted) = provider.seen.get(&key) {
            let frank = provider.stamp(hub, &request, suite, *accepted);
            return Ok(SubmitMessageResponse::Accepted { accepted: *accepted, frank }.encode());
        }
        if request.message.message().epoch() != Some(hub.epoch()) {
            return Ok(SubmitMessageResponse::EpochTooOld { current_epoch: hub.epoch() }.encode());
        }
        let limit = hub.state().message_limit(&request.sending_user);
        let sent = provider.counted.get(&(room.clone(), request.sending_user.clone())).copied().unwrap_or_default();
        let over = limit.is_some_and(|limit| sent >= limit) || hub.is_user_leaving(&request.sending_user);
        if over || hub.state().may_send(&request.sending_user).is_err() {
            return Ok(SubmitMessageResponse::NotAllowed.encode());
        }
        let frank = provider.stamp(hub, &request, suite, now);
        let shown = frank.clone().filter(|_| !provider.strips);
        let domains = hub.domains();
        let hears = |user: &UserUri| hub.state().may_receive(user).is_ok() && !hub.is_user_leaving(user);
        let deaf = hub.clients().into_iter().filter(|(user, _)| !hears(user)).map(|(_, client)| client).collect();
        *provider.counted.entry((room.clone(), request.sending_user.clone())).or_default() += 1;
        provider.seen.insert(key, now);
        let event = FanoutEvent::Application { message: request.message, frank: shown };
        self.fan_out_but(room, event, &domains, &deaf);
        Ok(SubmitMessageResponse::Accepted { accepted: now, frank }.encode())
    }

    pub fn fan_out(&mut self, room: &RoomUri, event: FanoutEvent, domains: &BTreeSet<Domain>) {
        self.fan_out_but(room, event, domains, &BTreeSet::new());
    }

    fn fan_out_but(
        &mut self,
        room: &RoomUri,
        event: FanoutEvent,
        domains: &BTreeSet<Domain>,
        deaf: &BTreeSet<ClientUri>,
    ) {
        let members = domains.iter().filter_map(|domain| self.providers[domain].members.get(room));
        let clients = members.flatten().filter(|(client, _)| !deaf.contains(client));
        let devices: BTreeSet<usize> = clients.map(|(_, device)| *device).collect();
        for device in devices {
            let message = FanoutMessage { timestamp: self.now, event: event.clone() };
            self.put(device, InboxBody::Fanout { room: room.clone(), message });
        }
    }
}
