//! The join-link flow. Where the draft writes `/notify` above an arrow from Bob's provider to the hub, MIMI -06 has
//! `/update` for his commit and `/submitMessage` for his message.

use super::*;
use crate::record::Actor::ClientA2;

/// Every arrow of section 3.2.
pub const JOIN_LINK: Draft = Draft {
    section: "3.2",
    columns: &[
        ("ClientA*", &[ClientA1, ClientA2]),
        ("ServerA", &[ServerA]),
        ("ServerB", &[ServerB]),
        ("ClientB*", &[ClientB1, ClientB2]),
    ],
    arrows: &[
        arrow((1, 1), A1, A, "Create room", Asks(Call::CreateRoom), &[]),
        arrow((1, 2), A1, A, "Add Alice's other clients", AsksWith(Call::Update, Kind::Welcome), &[(1, 1)]),
        arrow((1, 3), A1, A, "Create join link", Asks(Call::JoinLinks), &[(1, 1)]),
        arrow((1, 4), A1, BOB, "Send join link OOB", HandedOver, &[(1, 3)]),
        arrow((2, 1), BOB, B, "Use join link", Asks(Call::GroupInfo), &[(1, 4)]),
        arrow((2, 2), B, A, "/groupInfo", Asks(GROUP_INFO), &[(2, 1)]),
        arrow((2, 3), A, B, "OK GroupInfo", Answers((2, 2)), &[]),
        arrow((2, 4), B, BOB, "GroupInfo", Answers((2, 1)), &[(2, 3)]),
        arrow((2, 5), BOB, B, "Commit, etc.", AsksWith(Call::Update, Kind::Commit), &[(2, 4)]),
        arrow((2, 6), B, A, "/notify", AsksWith(UPDATE, Kind::Commit), &[(2, 5)]),
        arrow((2, 7), A, A1, "Commit", Delivers(Kind::Commit), &[(2, 6)]),
        arrow((2, 8), BOB, B, "Message Bob real ID", Asks(Call::SubmitMessage), &[(2, 5)]),
        arrow((2, 9), B, A, "/notify", Asks(SUBMIT), &[(2, 8)]),
        arrow((2, 10), A, A1, "Message Bob real ID", Delivers(Kind::Message), &[(2, 9)]),
    ],
};
