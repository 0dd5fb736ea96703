//! What is kept ready: KeyPackages and credentials are renewed before they end, KeyPackages and pseudonyms are acquired in
//! place of those that were used. Nothing of it happens at the time of a use.

use mimi_mls::Room;
use mimi_pseudonym::{Reader, RoomUri, Timestamp, UserUri, Writer};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Device, FailureReason, FlowId, PseudonymState,
    change::{Change, Then},
    device::Flow,
    lost::Expulsion,
    prepare::{Prepare, Purpose},
};

/// Something to be done later.
#[derive(Serialize, Deserialize)]
pub(crate) struct Keep {
    at: Timestamp,
    what: What,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
enum What {
    /// KeyPackages and credentials of the users in a record are renewed.
    Renew { batch: u64, key_packages: u16, purpose: Purpose },
    /// KeyPackages of a user are added.
    Refill { user: UserUri },
    /// Pseudonyms are acquired.
    Acquire,
    /// The account's other devices are brought into a room.
    Siblings { room: RoomUri },
    /// A lost device is removed from a room.
    Expel { expulsion: Expulsion },
}

fn batch_key(batch: u64) -> String {
    format!("batch/{batch}")
}

/// The users of a batch, as a record has them.
pub(crate) fn read_batch(record: &[u8]) -> Option<Vec<UserUri>> {
    let mut reader = Reader::new(record);
    let users = reader.list().ok()?;
    reader.finish().ok()?;
    Some(users)
}

impl Device {
    /// Has what was just uploaded renewed in time.
    pub(crate) fn renew_later(&mut self, users: &[UserUri], flow: &Prepare, cx: &mut Context<'_>) {
        let at = cx.now.after(self.profile.delays.renew(cx.entropy));
        self.renew_at(at, users, flow.key_packages(), flow.purpose());
    }

    /// A renewal was refused: it is tried again before it is too late.
    pub(crate) fn renew_again(&mut self, users: &[UserUri], key_packages: u16, purpose: Purpose, cx: &Context<'_>) {
        let at = cx.now.after(self.profile.delays.key_package_lifetime / 16);
        self.renew_at(at, users, key_packages, purpose);
    }

    fn renew_at(&mut self, at: Timestamp, users: &[UserUri], key_packages: u16, purpose: Purpose) {
        let batch = self.number();
        let mut writer = Writer::default();
        writer.list(users);
        self.wallet.records.put(batch_key(batch), writer.into_octets());
        self.later(at, What::Renew { batch, key_packages, purpose });
    }

    /// The provider says that few KeyPackages of a user are left.
    pub(crate) fn key_packages_low(&mut self, user: UserUri, cx: &mut Context<'_>) {
        let wanted = matches!(self.wallet.state(&user), Some(PseudonymState::Fresh | PseudonymState::Offered))
            || user == self.profile.user && !user.is_pseudonym() && self.wallet.holds(&user);
        let what = What::Refill { user };
        if wanted && !self.is_kept(&what) {
            let at = cx.now.after(self.profile.delays.refill(cx.entropy));
            self.later(at, what);
        }
    }

    /// Pseudonyms have been chosen: where few are left, others are acquired.
    pub(crate) fn restock(&mut self, cx: &mut Context<'_>) {
        if self.profile.user.is_pseudonym() {
            return;
        }
        let low = usize::from(self.profile.delays.stock.pseudonyms_low);
        if self.wallet.fresh() < low && !self.is_kept(&What::Acquire) && !self.is_acquiring() {
            let at = cx.now.after(self.profile.delays.refill(cx.entropy));
            self.later(at, What::Acquire);
        }
    }

    /// Another device of the account can be brought into the rooms in which this pseudonym is the name. For each of them at a
    /// time of its own: a device that comes into several rooms at one moment would tell their hubs that they belong together.
    pub(crate) fn sibling_ready(&mut self, user: &UserUri, cx: &mut Context<'_>) {
        let multi = |room: &RoomUri| self.rooms.get(room).is_some_and(|room| room.state().base().multi_device);
        let rooms: Vec<_> =
            self.rooms.of_user(user).into_iter().filter(|room| user.is_pseudonym() && multi(room)).collect();
        for room in rooms {
            let what = What::Siblings { room };
            if !self.is_kept(&what) {
                let at = cx.now.after(self.profile.delays.sibling(cx.entropy));
                self.later(at, what);
            }
        }
    }

    pub(crate) fn expel_at(&mut self, at: Timestamp, expulsion: Expulsion) {
        self.later(at, What::Expel { expulsion });
    }

    fn is_kept(&self, what: &What) -> bool {
        self.flows.values().any(|flow| matches!(flow, Flow::Keep(keep) if keep.what == *what))
    }

    fn is_acquiring(&self) -> bool {
        self.flows.values().any(|flow| matches!(flow, Flow::Prepare(prepare) if prepare.is_acquiring()))
    }

    fn later(&mut self, at: Timestamp, what: What) {
        let id = FlowId(self.number());
        self.flows.insert(id, Flow::Keep(Keep { at, what }));
        self.wake(at, id);
    }

    pub(crate) fn keep_step(&mut self, id: FlowId, flow: Keep, cx: &mut Context<'_>) -> Result<(), FailureReason> {
        if cx.now < flow.at {
            self.wake(flow.at, id);
            self.flows.insert(id, Flow::Keep(flow));
            return Ok(());
        }
        match flow.what {
            What::Acquire => {
                let count = self.profile.delays.stock.pseudonyms_batch.clamp(1, 1000);
                self.prepare(count, cx);
            }
            What::Refill { user } => {
                let account = user == self.profile.user && !user.is_pseudonym();
                let count = if account { self.profile.delays.stock.key_packages.clamp(1, 1000) } else { 1 };
                let purpose = if account { Purpose::InitialOnly } else { Purpose::Any };
                let id = FlowId(self.number());
                return self.upload(id, Prepare::refill(user, count, purpose), cx);
            }
            What::Expel { expulsion } => self.expel(expulsion, cx),
            What::Siblings { room } => {
                if self.rooms.get(&room).is_some_and(|room| !room.is_leaving()) {
                    self.begin(Flow::Change(Box::new(Change::own_clients(room, Then::Nothing))), cx);
                }
            }
            What::Renew { batch, key_packages, purpose } => {
                let users = self.wallet.records.get(&batch_key(batch)).and_then(|record| read_batch(&record));
                self.wallet.records.remove(&batch_key(batch));
                let renewed: Vec<_> =
                    users.unwrap_or_default().into_iter().filter(|user| self.may_be_used(user)).collect();
                if !renewed.is_empty() {
                    let id = FlowId(self.number());
                    self.ask_credentials(id, Prepare::renewal(renewed, key_packages, purpose), cx);
                }
            }
        }
        Ok(())
    }

    /// Whether KeyPackages of this user may still lead somewhere.
    fn may_be_used(&self, user: &UserUri) -> bool {
        match self.wallet.state(user) {
            Some(PseudonymState::Fresh) => true,
            Some(PseudonymState::Offered) => {
                self.flows.values().any(|flow| matches!(flow, Flow::Connect(flow) if flow.offers(user)))
            }
            Some(_) => *user == self.profile.user && !user.is_pseudonym(),
            None => false,
        }
    }

    /// A room is no more for this device: the pseudonym that was its name there has served, unless it is the name in another
    /// one too.
    pub(crate) fn retire(&mut self, room: &Room) {
        self.retire_user(room.identity().user());
    }

    pub(crate) fn retire_user(&mut self, user: &UserUri) {
        if !self.rooms.has(user) {
            self.wallet.retire(user);
        }
    }
}
