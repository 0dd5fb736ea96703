//! Somebody in a room: an account with one device, under a pseudonym.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mimi_client::{SystemClock, SystemEntropy};
use mimi_credential::{CertificateChain, TrustStore};
use mimi_mls::{Identity, NewKeyPackage, Room, UnverifiedKeyPackage, VerifiedKeyPackage, Wanted, with_franking_agent};
use mimi_pseudonym::{CipherSuite, Clock, DisclosureFormat, Domain, Entropy, RoomUri, Signer, SigningKey, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, Participant, ParticipantListUpdate, RoomState};
use mimi_wire::{
    FanoutEvent, GroupInfoOption, RatchetTree, RatchetTreeOption, UpdateOutcome, UpdateRequest, UpdateRoomResponse,
    Welcome, Wire,
    directory::percent_encode,
    local::{
        self, Accepted, CreateRoomRequest, CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse,
        InboxBody, InboxResponse, ProviderInfo, PseudonymsRequest, PseudonymsResponse, RegisterAccountRequest,
        RegisterResponse, UploadKeyPackages, UploadResponse,
    },
};

use super::connection::Connection;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A device with its account.
pub(super) struct Person {
    pub(super) connection: Connection,
    pub(super) pseudonym: UserUri,
    pub(super) identity: Identity,
    /// For whoever is to be added.
    key_package: Option<NewKeyPackage>,
}

/// What all know.
pub(super) struct Common {
    /// The suite of all rooms.
    pub(super) suite: CipherSuite,
    pub(super) trust: TrustStore,
    pub(super) hub: ProviderInfo,
    pub(super) hub_domain: Domain,
}

impl Person {
    /// Registers an account, and gets a pseudonym and a credential for it.
    pub(super) async fn register(connection: &Connection, name: String, common: &Arc<Common>) -> Result<Self> {
        let request = RegisterAccountRequest {
            handle: name,
            display_name: "Load".to_owned(),
            email: String::new(),
            device_name: "load".to_owned(),
        };
        let registered: RegisterResponse = connection.post(local::REGISTER_PATH, &request).await?;
        let connection = connection.with_token(&registered.device_token);
        let given: PseudonymsResponse =
            connection.post(local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await?;
        let pseudonym = given.pseudonyms.first().context("no pseudonym was given")?.clone();
        let key = SigningKey::generate(common.suite.signature_scheme(), &mut SystemEntropy::default())?;
        let tbs = CredentialItemTbs {
            subject: pseudonym.clone(),
            cipher_suite: common.suite,
            public_key: key.public_key().clone(),
            disclose: Vec::new(),
            format: DisclosureFormat::X509,
        };
        let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key)?.into()] };
        let issued: CredentialsResponse = connection.post(local::CREDENTIALS_PATH, &request).await?;
        let leaf = issued.items.into_iter().next().context("no credential was given")?.leaf;
        let chain = CertificateChain::try_from(leaf)?;
        let identity = Identity::new(common.suite, key, chain, &common.trust, SystemClock.now())?;
        Ok(Self { connection, pseudonym, identity, key_package: None })
    }

    /// Stores a KeyPackage, so that the Welcome that names it is taken.
    pub(super) async fn offer(&mut self, common: &Common) -> Result<VerifiedKeyPackage> {
        let now = SystemClock.now();
        let fresh =
            NewKeyPackage::create(&self.identity, KeyPackagePurpose::Any, now.before(DAY), now.after(DAY * 80))?;
        let upload = UploadKeyPackages { owner: self.pseudonym.clone(), key_packages: vec![fresh.key_package.clone()] };
        self.connection.post::<UploadResponse>(local::KEY_PACKAGES_PATH, &upload).await?;
        let offered = UnverifiedKeyPackage::new(fresh.key_package.clone());
        let verified = offered.verify(&self.pseudonym, common.suite, &common.trust, now)?;
        self.key_package = Some(fresh);
        Ok(verified)
    }

    /// Makes a room whose messages are stamped, and adds everybody by one commit.
    pub(super) async fn found(
        &self,
        common: &Common,
        others: Vec<(UserUri, VerifiedKeyPackage)>,
    ) -> Result<(Room, Option<Welcome>)> {
        let now = SystemClock.now();
        let hub = common
            .hub
            .hub_senders
            .iter()
            .find(|hub| hub.cipher_suite == common.suite)
            .context("no hub of the suite")?;
        let agent =
            common.hub.franking_agents.iter().find(|agent| agent.cipher_suite == common.suite).context("no agent")?;
        let uri = RoomUri::pseudonym(&common.hub_domain, SystemEntropy::default().bits128());
        let state = RoomState::private(uri.clone(), self.pseudonym.clone())?;
        let state = with_franking_agent(state, &agent.agent)?;
        let (mut room, first) = Room::create(self.identity.clone(), state, &hub.sender, now)?;
        let request = CreateRoomRequest { room: uri, group_info: first.group_info, ratchet_tree: first.ratchet_tree };
        self.connection.post::<Accepted>(local::ROOMS_PATH, &request).await?;
        if others.is_empty() {
            return Ok((room, None));
        }
        let participant = |user: &UserUri| Participant { user: user.clone(), role: RoomState::PARTICIPANT };
        let added = others.iter().map(|(user, _)| participant(user)).collect();
        let list = ParticipantListUpdate { added, ..ParticipantListUpdate::default() };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        let add = others.into_iter().map(|(_, key_package)| key_package).collect();
        let bundle = room.commit(Wanted { updates, add, remove: Vec::new() })?;
        let welcome = bundle.welcome.clone();
        let update = UpdateRequest::Commit {
            commit: bundle.commit.try_into()?,
            welcome: bundle.welcome,
            group_info: GroupInfoOption::Full(bundle.group_info),
            ratchet_tree: RatchetTreeOption::DistributionService,
        };
        let path = format!("{}/{}", local::UPDATE_PATH, percent_encode(room.uri().as_str()));
        let answer: UpdateRoomResponse = self.connection.post(&path, &update).await?;
        ensure!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "the commit: {}", answer.description);
        room.commit_accepted(&common.trust, now)?;
        Ok((room, welcome))
    }

    /// Joins a room as a member that can send.
    pub(super) async fn join(&mut self, common: &Common, room: &RoomUri, welcome: &Welcome) -> Result<Room> {
        let tree = self.tree().await?;
        let key_package = self.key_package.take().context("no KeyPackage was offered")?;
        let now = SystemClock.now();
        Ok(Room::join(self.identity.clone(), &key_package.secret, room, welcome, &tree, &common.trust, now)?)
    }

    /// The tree that came with the Welcome.
    async fn tree(&self) -> Result<RatchetTree> {
        for _ in 0..60 {
            let path = format!("{}?after=0&wait=1000", local::INBOX_PATH);
            let inbox: InboxResponse = self.connection.fetch(&path).await?;
            for event in inbox.events {
                if let InboxBody::Fanout { message, .. } = event.body
                    && let FanoutEvent::Welcome { ratchet_tree: RatchetTreeOption::Full(tree), .. } = message.event
                {
                    return Ok(tree);
                }
            }
        }
        anyhow::bail!("no Welcome came")
    }
}
