//! The knock flow. Where the draft writes `/notify` above an arrow from Cathy's provider to the hub, MIMI -06 has
//! `/update` for her commit and `/submitMessage` for her message.

use super::*;
use crate::record::Actor::ClientA2;

/// Every arrow of section 3.3.
pub const KNOCK: Draft = Draft {
    section: "3.3",
    columns: &[
        ("ClientA*", &[ClientA1, ClientA2]),
        ("ServerA", &[ServerA]),
        ("ServerC", &[ServerC]),
        ("ClientC*", &[ClientC1, ClientC2]),
        ("ServerB", &[ServerB]),
        ("ClientB*", &[ClientB1, ClientB2]),
    ],
    arrows: &[
        arrow((1, 1), CATHY, C, "get GroupInfo", Asks(Call::GroupInfo), &[]),
        arrow((1, 2), C, A, "/groupInfo", Asks(GROUP_INFO), &[(1, 1)]),
        arrow((1, 3), A, C, "OK GroupInfo", Answers((1, 2)), &[]),
        arrow((1, 4), C, CATHY, "GroupInfo", Answers((1, 1)), &[(1, 3)]),
        arrow((1, 5), CATHY, C, "Commit, etc.", AsksWith(Call::Update, Kind::Commit), &[(1, 4)]),
        arrow((1, 6), C, A, "/notify", AsksWith(UPDATE, Kind::Commit), &[(1, 5)]),
        arrow((1, 7), A, A1, "Commit", Delivers(Kind::Commit), &[(1, 6)]),
        arrow((1, 8), CATHY, C, "App Message: Knock Real ID, KPs", Asks(Call::SubmitMessage), &[(1, 5)]),
        arrow((1, 9), C, A, "/notify", Asks(SUBMIT), &[(1, 8)]),
        arrow((1, 10), A, A1, "App Message: Knock Real ID, KPs", Delivers(Kind::Message), &[(1, 9)]),
        arrow((1, 11), CATHY, C, "Remove Proposals", AsksWith(Call::Update, Kind::Proposal), &[(1, 8)]),
        arrow((1, 12), A, A1, "Remove", Delivers(Kind::Proposal), &[(1, 11)]),
        arrow((2, 1), A1, A, "Commit, etc.", AsksWith(Call::Update, Kind::Welcome), &[(1, 10)]),
        arrow((2, 2), A, A1, "Accepted", Answers((2, 1)), &[]),
        arrow((2, 3), A, C, "/notify", AsksWith(NOTIFY, Kind::Welcome), &[(2, 1)]),
        arrow((2, 4), C, A, "200 OK", Answers((2, 3)), &[]),
        arrow((2, 5), C, CATHY, "Welcome, Tree", Delivers(Kind::Welcome), &[(2, 3)]),
    ],
};
