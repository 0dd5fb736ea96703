//! Commits that a hub has accepted and this device cannot go along with: `docs/profile-recovery.md`.

use mimi_mls::OpenError;
use mimi_pseudonym::{RoomUri, Wire};
use mimi_room::RoomPurpose;
use mimi_wire::{ContentType, MlsMessage, ReportReason, UnverifiedRollback};

use crate::{
    Call, CommandError, Context, Device, Event, Request,
    change::{Change, Then, What},
    device::Flow,
};

impl Device {
    /// A message could not be opened. If it is a commit of the present epoch, the hub is told, once.
    pub(crate) fn not_followed(&mut self, uri: &RoomUri, message: &MlsMessage, error: &OpenError) -> Option<()> {
        let reason = match error {
            OpenError::NotAllowed(_) => ReportReason::Policy,
            OpenError::Commit => ReportReason::Credential,
            OpenError::Mls => ReportReason::Mls,
            _ => return None,
        };
        let room = self.rooms.get(uri)?;
        if message.content_type() != Some(ContentType::Commit) || message.epoch() != Some(room.epoch()) {
            return None;
        }
        let (hash, report) = room.report(message, reason)?;
        if self.refused.insert(uri.clone(), hash) == Some(hash) {
            return None;
        }
        let shown = room.state().purpose() != RoomPurpose::Connection;
        self.request(Request { call: Call::ReportCommit(uri.clone()), body: report.encode() }, None);
        if shown {
            self.tell(Event::ChangeRefused { room: uri.clone() });
        }
        Some(())
    }

    /// A member that stays makes a commit, after a random time and if nobody else has made one by then: it removes whom the hub
    /// wants out, and gives the hub a GroupInfo by which others can join again.
    fn begin_afresh(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        let Some(room) = self.rooms.get(uri) else { return };
        if room.is_leaving() || room.state().may_receive(room.identity().user()).is_err() {
            return;
        }
        let what = What::Afresh { epoch: room.epoch() };
        let until = cx.now.after(self.profile.delays.commit(cx.entropy));
        let change = Change::new(uri.clone(), what, Then::Nothing).after(until);
        self.begin(Flow::Change(Box::new(change)), cx);
    }

    /// Gives up this device's state of a room that has gone on without it, and comes in again.
    pub(crate) fn return_to(&mut self, uri: &RoomUri, cx: &mut Context<'_>) -> Result<(), CommandError> {
        if !self.refused.contains_key(uri) {
            return Err(CommandError::NotAllowed);
        }
        let room = self.rooms.remove(uri).ok_or(CommandError::NoSuchRoom)?;
        self.refused.remove(uri);
        self.come_back(room, cx);
        Ok(())
    }

    /// The hub has gone back to an earlier epoch. Whoever is in that epoch goes on from there; whoever had followed comes
    /// in again.
    pub(crate) fn rolled_back(
        &mut self,
        uri: &RoomUri,
        rollback: UnverifiedRollback,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let room = self.rooms.get_mut(uri)?;
        let rollback = room.verify_rollback(rollback).ok()?;
        let epoch = room.epoch();
        if epoch < rollback.epoch {
            return None;
        }
        let shown = room.state().purpose() != RoomPurpose::Connection;
        if epoch == rollback.epoch {
            let refused = self.refused.remove(uri);
            if refused.is_some() && shown {
                self.tell(Event::RolledBack { room: uri.clone() });
            }
            self.moved(uri, cx);
            self.begin_afresh(uri, cx);
            return Some(());
        }
        let room = self.rooms.remove(uri)?;
        self.refused.remove(uri);
        self.tell(Event::RolledBack { room: uri.clone() });
        self.come_back(room, cx);
        Some(())
    }
}
