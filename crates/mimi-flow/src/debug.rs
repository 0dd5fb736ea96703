//! `Debug` of what would show contents, private keys, or an account next to its pseudonym.

use std::fmt;

use crate::{Answer, Changes, Command, Entry, Event, Request};

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}, {} octets)", self.call.name(), self.body.len())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(body) => write!(f, "Done({} octets)", body.len()),
            Self::Refused(problem) => write!(f, "Refused({})", problem.code()),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.key.split_once('/').map_or(self.key.as_str(), |(kind, _)| kind);
        write!(f, "Entry({kind}, {} octets)", self.value.len())
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({} live, {} records)", self.live.len(), self.records.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { key_packages } => f.debug_struct("Publish").field("key_packages", key_packages).finish(),
            Self::Prepare { pseudonyms } => f.debug_struct("Prepare").field("pseudonyms", pseudonyms).finish(),
            Self::Prefer { format } => f.debug_struct("Prefer").field("format", format).finish(),
            Self::Connect { domain, disclose, .. } => {
                f.debug_struct("Connect").field("domain", domain).field("disclose", disclose).finish_non_exhaustive()
            }
            Self::Accept { request, .. } => f.debug_struct("Accept").field("request", request).finish_non_exhaustive(),
            Self::Decline { request } => f.debug_struct("Decline").field("request", request).finish(),
            Self::Disclose { claims, .. } => f.debug_struct("Disclose").field("claims", claims).finish_non_exhaustive(),
            Self::Send { content, .. } => f.debug_struct("Send").field("content", content).finish_non_exhaustive(),
            Self::CreateRoom { room } => f.debug_struct("CreateRoom").field("room", room).finish(),
            Self::CreateKnockRoom { disclosure, .. } => {
                f.debug_struct("CreateKnockRoom").field("disclosure", disclosure).finish_non_exhaustive()
            }
            Self::AdmitKnock { knock } => f.debug_struct("AdmitKnock").field("knock", knock).finish(),
            Self::DeclineKnock { knock } => f.debug_struct("DeclineKnock").field("knock", knock).finish(),
            Self::Moderate { action, .. } => f.debug_struct("Moderate").field("action", action).finish_non_exhaustive(),
            Self::ModerateKnocks { .. } => f.write_str("ModerateKnocks { .. }"),
            Self::RemoveClient { .. } => f.write_str("RemoveClient { .. }"),
            Self::TakeIdentity { identity, .. } => {
                f.debug_struct("TakeIdentity").field("identity", identity).finish_non_exhaustive()
            }
            Self::RemoveDevice { .. } => f.write_str("RemoveDevice { .. }"),
            Self::AddOwnClients { .. } => f.write_str("AddOwnClients { .. }"),
            Self::DestroyRoom { .. } => f.write_str("DestroyRoom { .. }"),
            Self::Report(report) => f.debug_tuple("Report").field(report).finish(),
            Self::CreateRoomAs { room, .. } => {
                f.debug_struct("CreateRoomAs").field("room", room).finish_non_exhaustive()
            }
            Self::RequestConsent { consent } => f.debug_struct("RequestConsent").field("consent", consent).finish(),
            Self::CancelConsent { consent } => f.debug_struct("CancelConsent").field("consent", consent).finish(),
            Self::GrantConsent { consent } => f.debug_struct("GrantConsent").field("consent", consent).finish(),
            Self::RevokeConsent { consent } => f.debug_struct("RevokeConsent").field("consent", consent).finish(),
            Self::ConsentToConnections { allowed } => {
                f.debug_struct("ConsentToConnections").field("allowed", allowed).finish()
            }
            Self::CreateLink { uses, lifetime, .. } => {
                f.debug_struct("CreateLink").field("uses", uses).field("lifetime", lifetime).finish_non_exhaustive()
            }
            Self::ListLinks { .. } => f.write_str("ListLinks { .. }"),
            Self::RevokeLink { .. } => f.write_str("RevokeLink { .. }"),
            Self::Look { as_account, .. } => {
                f.debug_struct("Look").field("as_account", as_account).finish_non_exhaustive()
            }
            Self::JoinSeen { visit } => f.debug_struct("JoinSeen").field("visit", visit).finish(),
            Self::Knock { visit, disclose, .. } => {
                f.debug_struct("Knock").field("visit", visit).field("disclose", disclose).finish_non_exhaustive()
            }
            Self::TurnAway { visit } => f.debug_struct("TurnAway").field("visit", visit).finish(),
            Self::Leave { .. } => f.write_str("Leave { .. }"),
            Self::ComeBack { .. } => f.write_str("ComeBack { .. }"),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { fresh } => f.debug_struct("Ready").field("fresh", fresh).finish(),
            Self::ConnectionRequested { request, from, .. } => f
                .debug_struct("ConnectionRequested")
                .field("request", request)
                .field("from", from)
                .finish_non_exhaustive(),
            Self::Connected { known_as, .. } => {
                f.debug_struct("Connected").field("known_as", known_as).finish_non_exhaustive()
            }
            Self::Message { media_type, body, .. } => f
                .debug_struct("Message")
                .field("media_type", media_type)
                .field("octets", &body.len())
                .finish_non_exhaustive(),
            Self::Disclosed { who, .. } => f.debug_struct("Disclosed").field("who", who).finish_non_exhaustive(),
            Self::Undisclosed { users, .. } => {
                f.debug_struct("Undisclosed").field("users", &users.len()).finish_non_exhaustive()
            }
            Self::RoomCreated { flow, .. } => f.debug_struct("RoomCreated").field("flow", flow).finish_non_exhaustive(),
            Self::Joined { .. } => f.write_str("Joined { .. }"),
            Self::DeviceRemoved { flow, .. } => {
                f.debug_struct("DeviceRemoved").field("flow", flow).finish_non_exhaustive()
            }
            Self::Done { flow } => f.debug_struct("Done").field("flow", flow).finish(),
            Self::LinkCreated { flow, .. } => f.debug_struct("LinkCreated").field("flow", flow).finish_non_exhaustive(),
            Self::Links { flow, links, .. } => {
                f.debug_struct("Links").field("flow", flow).field("links", &links.len()).finish_non_exhaustive()
            }
            Self::RoomSeen { visit, room } => {
                f.debug_struct("RoomSeen").field("visit", visit).field("room", room).finish()
            }
            Self::KnockSent { knock } => f.debug_struct("KnockSent").field("knock", knock).finish(),
            Self::LetIn { knock, .. } => f.debug_struct("LetIn").field("knock", knock).finish_non_exhaustive(),
            Self::ChangeRefused { .. } => f.write_str("ChangeRefused { .. }"),
            Self::RolledBack { .. } => f.write_str("RolledBack { .. }"),
            Self::KnockRoomOffered { .. } => f.write_str("KnockRoomOffered { .. }"),
            Self::Knocked { knock, from, .. } => {
                f.debug_struct("Knocked").field("knock", knock).field("from", from).finish_non_exhaustive()
            }
            Self::KnockDecided { knock, admitted } => {
                f.debug_struct("KnockDecided").field("knock", knock).field("admitted", admitted).finish()
            }
            Self::KnockLapsed { knock } => f.debug_struct("KnockLapsed").field("knock", knock).finish(),
            Self::ConsentRequested { consent } => f.debug_struct("ConsentRequested").field("consent", consent).finish(),
            Self::ConsentCancelled { consent } => f.debug_struct("ConsentCancelled").field("consent", consent).finish(),
            Self::ConsentGranted { consent, asked } => {
                f.debug_struct("ConsentGranted").field("consent", consent).field("asked", asked).finish()
            }
            Self::ConsentDecided { consent, granted } => {
                f.debug_struct("ConsentDecided").field("consent", consent).field("granted", granted).finish()
            }
            Self::Closed { .. } => f.debug_struct("Closed").finish_non_exhaustive(),
            Self::Failed { flow, reason } => {
                f.debug_struct("Failed").field("flow", flow).field("reason", reason).finish()
            }
        }
    }
}
