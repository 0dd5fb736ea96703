//! Getting pseudonyms, credentials and KeyPackages (draft-mahy-mimi-pseudonyms-00, section 3.1, first diagram).

use std::collections::BTreeSet;

use mimi_credential::CertificateChain;
use mimi_mls::{Identity, NewKeyPackage};
use mimi_pseudonym::{ClaimName, DisclosureFormat, Signer, SigningKey, UserUri, Wire};
use mimi_room::KeyPackagePurpose;
use mimi_wire::KeyPackage;
use mimi_wire::local::{
    AcquireRequest, AcquireResponse, CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse,
    IssuedCredential, IssuedDisclosure, IssuedPseudonym, NewPseudonym, NewPseudonymTbs, UploadBatch, UploadKeyPackages,
    UploadResponse,
};
use serde::{Deserialize, Serialize};

use crate::{
    Call, Context, Device, Event, FailureReason, FlowId, PseudonymState, Request,
    device::Flow,
    plan::lifetime,
    wallet::{Held, HeldKeyPackage},
};

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
    why: Why,
}

/// Why KeyPackages are made.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There were none.
    First,
    /// Those that there are end soon, as do the credentials.
    Renewal,
    /// Few are left.
    Refill,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Any,
    InitialOnly,
}

impl Prepare {
    fn new(subjects: Vec<UserUri>, key_packages: u16, purpose: Purpose, format: DisclosureFormat) -> Self {
        Self { key_packages, purpose, own: true, subjects, format, uploads: 0, why: Why::First }
    }

    /// Each identity credential is renewed in the format that it has.
    pub(crate) fn renewal(subjects: Vec<UserUri>, key_packages: u16, purpose: Purpose) -> Self {
        Self { why: Why::Renewal, ..Self::new(subjects, key_packages, purpose, DisclosureFormat::default()) }
    }

    pub(crate) fn refill(user: UserUri, key_packages: u16, purpose: Purpose) -> Self {
        Self { why: Why::Refill, ..Self::new(vec![user], key_packages, purpose, DisclosureFormat::default()) }
    }

    pub(crate) fn expects(call: &Call) -> bool {
        matches!(call, Call::Pseudonyms | Call::Credentials | Call::UploadKeyPackages | Call::UploadBatch)
    }

    pub(crate) fn subjects(&self) -> &[UserUri] {
        &self.subjects
    }

    pub(crate) fn key_packages(&self) -> u16 {
        self.key_packages
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn is_renewal(&self) -> bool {
        self.why == Why::Renewal
    }

    pub(crate) fn is_refill(&self) -> bool {
        self.why == Why::Refill
    }

    /// Whether it brings new pseudonyms of this device's own.
    pub(crate) fn is_acquiring(&self) -> bool {
        self.own && self.why == Why::First && self.purpose == Purpose::Any
    }
}

impl Device {
    /// The account's own credential, and KeyPackages for initial connections only.
    pub(crate) fn publish(&mut self, key_packages: u16, cx: &mut Context<'_>) -> FlowId {
        let id = FlowId(self.number());
        let flow = Prepare::new(vec![self.profile.user.clone()], key_packages, Purpose::InitialOnly, self.format);
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

    pub(crate) fn prepare(&mut self, pseudonyms: u16, cx: &mut Context<'_>) -> FlowId {
        let id = FlowId(self.number());
        // A pseudonym with a device of its own is all that the device has.
        if self.profile.user.is_pseudonym() {
            let flow = Prepare::new(vec![self.profile.user.clone()], 1, Purpose::Any, self.format);
            self.ask_credentials(id, flow, cx);
            return id;
        }
        self.acquire(id, Prepare::new(Vec::new(), 1, Purpose::Any, self.format), pseudonyms, cx);
        id
    }

    /// Another device of the account asked for pseudonyms: this one gets credentials for them too.
    pub(crate) fn assigned(&mut self, pseudonyms: Vec<UserUri>, cx: &mut Context<'_>) {
        // A provider that gives two devices the same one would have both choose it.
        for pseudonym in &pseudonyms {
            self.wallet.disown(pseudonym);
        }
        let mut subjects: Vec<_> = pseudonyms.into_iter().filter(|user| self.is_new(user)).collect();
        subjects.sort();
        subjects.dedup();
        if subjects.is_empty() {
            return;
        }
        let id = FlowId(self.number());
        let flow = Prepare { own: false, ..Prepare::new(subjects, 1, Purpose::Any, self.format) };
        self.ask_credentials(id, flow, cx);
    }

    /// Whether a URI is a pseudonym of the own provider's that this device has never had.
    fn is_new(&self, user: &UserUri) -> bool {
        user.is_pseudonym()
            && user.domain() == self.profile.user.domain()
            && !self.wallet.holds(user)
            && self.wallet.asked(user).is_none()
    }

    /// An account's own leaf says who it is; only a pseudonym of an account has something to disclose.
    fn is_hidden(&self, subject: &UserUri) -> bool {
        subject.is_pseudonym() && *subject != self.profile.user
    }

    /// Asks for pseudonyms with their credentials, for new keys: the provider chooses the names.
    fn acquire(&mut self, id: FlowId, flow: Prepare, count: u16, cx: &mut Context<'_>) {
        let suite = self.profile.suite;
        let keys = (0..count).filter_map(|_| SigningKey::generate(suite.signature_scheme(), cx.entropy).ok());
        let keys: Vec<_> = keys.collect();
        let items = keys.iter().filter_map(|key| {
            let (public_key, disclose) = (key.public_key().clone(), ClaimName::ALL.to_vec());
            let tbs = NewPseudonymTbs { cipher_suite: suite, public_key, disclose, format: flow.format };
            NewPseudonym::sign(tbs, key).map(Into::into).ok()
        });
        let body = AcquireRequest { items: items.collect() }.encode();
        self.wallet.acquire(id.0, suite, &keys);
        self.flows.insert(id, Flow::Prepare(flow));
        self.request(Request { call: Call::Pseudonyms, body }, Some(id));
    }

    /// Asks for credentials: for the keys that there are, or for new ones.
    pub(crate) fn ask_credentials(&mut self, id: FlowId, flow: Prepare, cx: &mut Context<'_>) {
        let mut items = Vec::new();
        let suite = self.profile.suite;
        for subject in &flow.subjects {
            let disclose = if self.is_hidden(subject) { ClaimName::ALL.to_vec() } else { Vec::new() };
            let held = self.wallet.held(subject);
            let known = held.as_ref().and_then(|held| held.disclosure.as_ref()).map(IssuedDisclosure::format);
            let tbs = |key: &dyn Signer| CredentialItemTbs {
                subject: subject.clone(),
                cipher_suite: suite,
                public_key: key.public_key().clone(),
                disclose,
                format: known.unwrap_or(flow.format),
            };
            let item = match &held {
                Some(held) => CredentialItem::sign(tbs(held.identity.signer()), held.identity.signer()),
                None => {
                    let asked = self.wallet.asked(subject);
                    let new = || SigningKey::generate(suite.signature_scheme(), cx.entropy).ok();
                    let Some(key) = asked.or_else(new) else { continue };
                    self.wallet.ask(subject, suite, &key);
                    CredentialItem::sign(tbs(&key), &key)
                }
            };
            items.extend(item.map(Into::into));
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
                let items = AcquireResponse::decode(body).map_err(|_| answer())?.items;
                let keys = self.wallet.acquiring(id.0).ok_or(FailureReason::Internal)?;
                let distinct: BTreeSet<_> = items.iter().map(|item| &item.pseudonym).collect();
                // One that is known already could be chosen a second time.
                let new = distinct.len() == items.len() && items.iter().all(|item| self.is_new(&item.pseudonym));
                if !new || items.len() != keys.len() {
                    return Err(answer());
                }
                let held = items.into_iter().zip(keys).map(|(IssuedPseudonym { pseudonym, credential }, key)| {
                    let held = self.is_what_was_asked_for(&pseudonym, key, credential, &flow, cx)?;
                    Some((pseudonym, held))
                });
                let held: Vec<_> = held.collect::<Option<_>>().ok_or_else(answer)?;
                self.wallet.forget_acquiring(id.0);
                held.iter().for_each(|(pseudonym, held)| self.wallet.hold(pseudonym, held));
                flow.subjects = held.into_iter().map(|(pseudonym, _)| pseudonym).collect();
                self.upload(id, flow, cx)
            }
            Call::Credentials => {
                let response = CredentialsResponse::decode(body).map_err(|_| answer())?;
                if response.items.len() != flow.subjects.len() {
                    return Err(answer());
                }
                for (subject, issued) in flow.subjects.iter().zip(response.items) {
                    let held = match flow.why {
                        Why::Renewal => self.renew(subject, issued, cx),
                        _ => self.hold(subject, issued, &flow, cx),
                    };
                    held.ok_or_else(answer)?;
                }
                self.upload(id, flow, cx)
            }
            Call::UploadKeyPackages | Call::UploadBatch => {
                UploadResponse::decode(body).map_err(|_| answer())?;
                flow.uploads = flow.uploads.saturating_sub(1);
                if flow.uploads > 0 {
                    self.flows.insert(id, Flow::Prepare(flow));
                    return Ok(());
                }
                if flow.why != Why::Refill {
                    self.renew_later(&flow.subjects, &flow, cx);
                }
                if flow.own && flow.why == Why::First {
                    self.tell(Event::Ready { fresh: self.wallet.fresh() });
                    self.restock(cx);
                }
                Ok(())
            }
            _ => Err(FailureReason::Internal),
        }
    }

    /// Keeps a credential if it is what was asked for.
    fn hold(&mut self, subject: &UserUri, issued: IssuedCredential, flow: &Prepare, cx: &Context<'_>) -> Option<()> {
        // Two flows may have asked for the account's credential: the first answer counts.
        let asked = self.wallet.asked(subject);
        self.wallet.forget_asked(subject);
        if self.wallet.holds(subject) {
            return Some(());
        }
        let held = self.is_what_was_asked_for(subject, asked?, issued, flow, cx)?;
        self.wallet.hold(subject, &held);
        Some(())
    }

    /// What is had for a key, if it is what was asked for.
    fn is_what_was_asked_for(
        &self,
        subject: &UserUri,
        key: SigningKey,
        issued: IssuedCredential,
        flow: &Prepare,
        cx: &Context<'_>,
    ) -> Option<Held> {
        let chain = CertificateChain::try_from(issued.leaf).ok()?;
        let identity = Identity::new(self.profile.suite, key, chain, cx.trust, cx.now).ok()?;
        if identity.user() != subject || *identity.client() != issued.client {
            return None;
        }
        let disclosure = issued.disclosure;
        let held = Held { identity, disclosure, state: PseudonymState::Fresh, own: flow.own, again: false };
        is_good(&held, flow.format, cx).then_some(held)
    }

    /// Puts a new credential in the place of one for the same key. What has been used or has gone meanwhile needs none.
    fn renew(&mut self, subject: &UserUri, issued: IssuedCredential, cx: &Context<'_>) -> Option<()> {
        let Some(mut held) = self.wallet.held(subject) else { return Some(()) };
        let chain = CertificateChain::try_from(issued.leaf).ok()?;
        held.identity = held.identity.renewed(chain, cx.trust, cx.now)?;
        // A provider that does not know who is behind a pseudonym issues no identity for it. What somebody else has issued stays.
        if issued.disclosure.is_none() && *subject == self.profile.user {
            let format = held.disclosure.as_ref().map(IssuedDisclosure::format);
            if !format.is_none_or(|format| is_good(&held, format, cx)) {
                held.disclosure = None;
            }
            self.wallet.change(subject, |known| *known = held);
            return Some(());
        }
        let before = std::mem::replace(&mut held.disclosure, issued.disclosure);
        let format = before.as_ref().map(IssuedDisclosure::format);
        let good = format == held.disclosure.as_ref().map(IssuedDisclosure::format)
            && format.is_none_or(|format| is_good(&held, format, cx));
        good.then(|| self.wallet.change(subject, |known| *known = held))
    }

    /// Makes KeyPackages and uploads them: those of one user, or of many in one request.
    pub(crate) fn upload(&mut self, id: FlowId, mut flow: Prepare, cx: &Context<'_>) -> Result<(), FailureReason> {
        let mut uploads = Vec::new();
        for subject in &flow.subjects {
            // It may have served while its credential was on the way.
            let Some(identity) = self.wallet.identity(subject) else { continue };
            let mut key_packages = self.new_key_packages(&identity, flow.purpose, flow.key_packages, cx)?;
            if self.profile.delays.stock.last_resort
                && flow.purpose == Purpose::InitialOnly
                && flow.why != Why::Refill
                && !subject.is_pseudonym()
            {
                key_packages.push(self.new_last_resort(&identity, cx)?);
            }
            uploads.push(UploadKeyPackages { owner: subject.clone(), key_packages });
        }
        flow.uploads = 1;
        let request = match <[UploadKeyPackages; 1]>::try_from(uploads) {
            Ok([one]) if flow.why != Why::Renewal => Request { call: Call::UploadKeyPackages, body: one.encode() },
            Ok(one) => Request { call: Call::UploadBatch, body: UploadBatch { uploads: one.into() }.encode() },
            Err(none) if none.is_empty() => return Ok(()),
            Err(uploads) => {
                let batches = UploadBatch::split(uploads);
                flow.uploads = batches.len();
                for batch in batches {
                    self.request(Request { call: Call::UploadBatch, body: batch.encode() }, Some(id));
                }
                self.flows.insert(id, Flow::Prepare(flow));
                return Ok(());
            }
        };
        self.request(request, Some(id));
        self.flows.insert(id, Flow::Prepare(flow));
        Ok(())
    }

    /// Makes KeyPackages and keeps their private halves.
    pub(crate) fn new_key_packages(
        &mut self,
        identity: &Identity,
        purpose: Purpose,
        count: u16,
        cx: &Context<'_>,
    ) -> Result<Vec<KeyPackage>, FailureReason> {
        let purpose = match purpose {
            Purpose::Any => KeyPackagePurpose::Any,
            Purpose::InitialOnly => KeyPackagePurpose::InitialOnly,
        };
        let (not_before, not_after) = lifetime(cx.now, self.profile.delays.key_package_lifetime);
        let (mut kept, mut key_packages) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let new =
                NewKeyPackage::create(identity, purpose, not_before, not_after).map_err(|_| FailureReason::Internal)?;
            let owner = identity.user().clone();
            let held = HeldKeyPackage { owner, secret: new.secret, not_after, last_resort: false };
            kept.push((new.reference.as_bytes().to_vec(), held));
            key_packages.push(new.key_package);
        }
        self.wallet.keep_key_packages(&kept);
        Ok(key_packages)
    }

    /// Makes a KeyPackage that is given when there is no other.
    fn new_last_resort(&mut self, identity: &Identity, cx: &Context<'_>) -> Result<KeyPackage, FailureReason> {
        let (not_before, not_after) = lifetime(cx.now, self.profile.delays.key_package_lifetime);
        let new = NewKeyPackage::last_resort(identity, not_before, not_after).map_err(|_| FailureReason::Internal)?;
        let owner = identity.user().clone();
        let held = HeldKeyPackage { owner, secret: new.secret, not_after, last_resort: true };
        self.wallet.keep_key_packages(&[(new.reference.as_bytes().to_vec(), held)]);
        Ok(new.key_package)
    }
}

/// Whether what was issued can be shown, if there is something: what could not be shown later is refused now.
fn is_good(held: &Held, format: DisclosureFormat, cx: &Context<'_>) -> bool {
    let Some(disclosure) = &held.disclosure else { return true };
    let names = held.credential(cx).and_then(|credential| credential.names().ok());
    disclosure.format() == format && names.is_some_and(|names| !names.is_empty())
}
