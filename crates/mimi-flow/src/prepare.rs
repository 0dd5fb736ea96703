//! Getting pseudonyms, credentials and KeyPackages (draft-mahy-mimi-pseudonyms-00, section 3.1, first diagram).

use std::{collections::BTreeSet, time::Duration};

use mimi_credential::CertificateChain;
use mimi_mls::{Identity, NewKeyPackage};
use mimi_pseudonym::{ClaimName, DisclosureFormat, Signer, SigningKey, UserUri, Wire};
use mimi_room::KeyPackagePurpose;
use mimi_wire::local::{
    CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse, IssuedCredential, PseudonymsRequest,
    PseudonymsResponse, UploadKeyPackages, UploadResponse,
};
use serde::{Deserialize, Serialize};

use crate::{
    Call, Context, Device, Event, FailureReason, FlowId, PseudonymState, Request,
    device::Flow,
    wallet::{Held, HeldKeyPackage},
};

/// How far a KeyPackage's lifetime reaches back, for clocks that are slow.
const BACKDATE: Duration = Duration::from_secs(3_600);

#[derive(Serialize, Deserialize)]
pub(crate) struct Prepare {
    /// KeyPackages for each subject.
    key_packages: u16,
    purpose: Purpose,
    /// Whether this device asked for the pseudonyms.
    own: bool,
    /// The subjects whose credentials have been asked for, in that order.
    subjects: Vec<UserUri>,
    /// The format of their identity credentials.
    format: DisclosureFormat,
    /// Uploads that are not answered yet.
    uploads: usize,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum Purpose {
    Any,
    InitialOnly,
}

impl Prepare {
    fn new(key_packages: u16, purpose: Purpose, own: bool, subjects: Vec<UserUri>, format: DisclosureFormat) -> Self {
        Self { key_packages, purpose, own, subjects, format, uploads: 0 }
    }

    pub(crate) fn subjects(&self) -> &[UserUri] {
        &self.subjects
    }
}

impl Device {
    /// The account's own credential, and KeyPackages for initial connections only.
    pub(crate) fn publish(&mut self, key_packages: u16, cx: &mut Context<'_>) -> FlowId {
        let id = FlowId(self.number());
        let subjects = vec![self.profile.user.clone()];
        let flow = Prepare::new(key_packages, Purpose::InitialOnly, true, subjects, self.format);
        match self.wallet.identity(&self.profile.user).is_some() {
            true => {
                let outcome = self.upload(id, flow, cx);
                if let Err(reason) = outcome {
                    self.tell(Event::Failed { flow: id, reason });
                }
            }
            false => self.ask_credentials(id, flow, cx),
        }
        id
    }

    pub(crate) fn prepare(&mut self, pseudonyms: u16) -> FlowId {
        let id = FlowId(self.number());
        let flow = Prepare::new(1, Purpose::Any, true, Vec::new(), self.format);
        self.flows.insert(id, Flow::Prepare(flow));
        let body = PseudonymsRequest { count: pseudonyms }.encode();
        self.request(Request { call: Call::Pseudonyms, body }, Some(id));
        id
    }

    /// Another device of the account asked for pseudonyms: this one gets credentials for them too.
    pub(crate) fn assigned(&mut self, pseudonyms: Vec<UserUri>, cx: &mut Context<'_>) {
        let mut subjects: Vec<_> = pseudonyms.into_iter().filter(|user| self.is_new(user)).collect();
        subjects.sort();
        subjects.dedup();
        if subjects.is_empty() {
            return;
        }
        let id = FlowId(self.number());
        let flow = Prepare::new(1, Purpose::Any, false, subjects, self.format);
        self.ask_credentials(id, flow, cx);
    }

    /// Whether a URI is a pseudonym of the own provider's that this device has never had.
    fn is_new(&self, user: &UserUri) -> bool {
        user.is_pseudonym()
            && user.domain() == self.profile.user.domain()
            && !self.wallet.held.contains_key(user)
            && !self.wallet.asked.contains_key(user)
    }

    fn ask_credentials(&mut self, id: FlowId, flow: Prepare, cx: &mut Context<'_>) {
        let mut items = Vec::new();
        for subject in &flow.subjects {
            let asked = self.wallet.asked.get(subject).cloned();
            let new = || SigningKey::generate(self.profile.suite.signature_scheme(), cx.entropy).ok();
            let Some(key) = asked.or_else(new) else { continue };
            // An account's own leaf says who it is; only a pseudonym has something to disclose.
            let disclose = if subject.is_pseudonym() { ClaimName::ALL.to_vec() } else { Vec::new() };
            let public_key = key.public_key().clone();
            let (cipher_suite, format) = (self.profile.suite, flow.format);
            let tbs = CredentialItemTbs { subject: subject.clone(), cipher_suite, public_key, disclose, format };
            if let Ok(item) = CredentialItem::sign(tbs, &key) {
                items.push(item.into());
                self.wallet.asked.insert(subject.clone(), key);
            }
        }
        self.flows.insert(id, Flow::Prepare(flow));
        let body = CredentialsRequest { items }.encode();
        self.request(Request { call: Call::Credentials, body }, Some(id));
    }

    pub(crate) fn prepare_answered(
        &mut self,
        id: FlowId,
        mut flow: Prepare,
        call: &Call,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: call.name().to_owned() };
        match call {
            Call::Pseudonyms => {
                flow.subjects = PseudonymsResponse::decode(body).map_err(|_| answer())?.pseudonyms;
                let distinct: BTreeSet<_> = flow.subjects.iter().collect();
                // One that is known already could be chosen a second time.
                if distinct.len() < flow.subjects.len() || !flow.subjects.iter().all(|user| self.is_new(user)) {
                    return Err(answer());
                }
                self.ask_credentials(id, flow, cx);
                Ok(())
            }
            Call::Credentials => {
                let response = CredentialsResponse::decode(body).map_err(|_| answer())?;
                if response.items.len() != flow.subjects.len() {
                    return Err(answer());
                }
                for (subject, issued) in flow.subjects.iter().zip(response.items) {
                    self.hold(subject, issued, &flow, cx).ok_or_else(answer)?;
                }
                self.upload(id, flow, cx)
            }
            Call::UploadKeyPackages => {
                UploadResponse::decode(body).map_err(|_| answer())?;
                flow.uploads = flow.uploads.saturating_sub(1);
                if flow.uploads > 0 {
                    self.flows.insert(id, Flow::Prepare(flow));
                } else if flow.own {
                    self.tell(Event::Ready { fresh: self.wallet.fresh() });
                }
                Ok(())
            }
            _ => Err(FailureReason::Internal),
        }
    }

    /// Keeps a credential if it is what was asked for.
    fn hold(&mut self, subject: &UserUri, issued: IssuedCredential, flow: &Prepare, cx: &Context<'_>) -> Option<()> {
        // Two flows may have asked for the account's credential: the first answer counts.
        if self.wallet.held.contains_key(subject) {
            self.wallet.asked.remove(subject);
            return Some(());
        }
        let key = self.wallet.asked.remove(subject)?;
        let chain = CertificateChain::try_from(issued.leaf).ok()?;
        let identity = Identity::new(self.profile.suite, key, chain, cx.trust, cx.now).ok()?;
        if identity.user() != subject || *identity.client() != issued.client {
            return None;
        }
        let disclosure = issued.disclosure;
        let held = Held { identity, disclosure, state: PseudonymState::Fresh, own: flow.own };
        // What could not be shown later is refused now.
        if let Some(disclosure) = &held.disclosure {
            let names = held.credential(cx)?.names().ok()?;
            if disclosure.format() != flow.format || names.is_empty() {
                return None;
            }
        }
        self.wallet.held.insert(subject.clone(), held);
        Some(())
    }

    fn upload(&mut self, id: FlowId, mut flow: Prepare, cx: &Context<'_>) -> Result<(), FailureReason> {
        let purpose = match flow.purpose {
            Purpose::Any => KeyPackagePurpose::Any,
            Purpose::InitialOnly => KeyPackagePurpose::InitialOnly,
        };
        let not_before = cx.now.before(BACKDATE);
        let not_after = cx.now.after(self.profile.delays.key_package_lifetime);
        for subject in &flow.subjects {
            let identity = self.wallet.identity(subject).ok_or(FailureReason::Internal)?.clone();
            let mut key_packages = Vec::new();
            for _ in 0..flow.key_packages {
                let new = NewKeyPackage::create(&identity, purpose, not_before, not_after)
                    .map_err(|_| FailureReason::Internal)?;
                let held = HeldKeyPackage { owner: subject.clone(), secret: new.secret, not_after };
                self.wallet.key_packages.insert(new.reference.as_bytes().to_vec(), held);
                key_packages.push(new.key_package);
            }
            let body = UploadKeyPackages { owner: subject.clone(), key_packages }.encode();
            self.request(Request { call: Call::UploadKeyPackages, body }, Some(id));
        }
        flow.uploads = flow.subjects.len();
        self.flows.insert(id, Flow::Prepare(flow));
        Ok(())
    }
}
