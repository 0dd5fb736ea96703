//! The connection flow.

use super::*;
use crate::record::Actor::ClientA2;

/// Every arrow of section 3.1.
pub const CONNECTION: Draft = Draft {
    section: "3.1",
    columns: &[
        ("ClientA*", &[ClientA1, ClientA2]),
        ("ServerA", &[ServerA]),
        ("ServerB", &[ServerB]),
        ("ClientB*", &[ClientB1, ClientB2]),
    ],
    arrows: &[
        arrow((1, 1), A1, A, "Request pseudonyms", Asks(Call::Pseudonyms), &[]),
        arrow((1, 2), BOB, B, "Request pseudonyms", Asks(Call::Pseudonyms), &[]),
        arrow((1, 3), A, A1, "", Answers((1, 1)), &[]),
        arrow((1, 4), B, BOB, "", Answers((1, 2)), &[]),
        arrow((1, 5), A1, A, "Store KPs", Asks(Call::KeyPackages), &[(1, 3)]),
        arrow((1, 6), BOB, B, "Store KPs", Asks(Call::KeyPackages), &[(1, 4)]),
        arrow((2, 1), A1, A, "Create room", Asks(Call::CreateRoom), &[(1, 5), (1, 6)]),
        arrow((2, 2), A1, A, "Add Alice's other clients", AsksWith(Call::Update, Kind::Welcome), &[(2, 1)]),
        arrow((2, 3), A, B, "/idQuery", Asks(QUERY), &[(2, 2)]),
        arrow((2, 4), B, A, "200 OK", Answers((2, 3)), &[]),
        arrow((2, 5), A1, A, "Request KPs", Asks(Call::KeyMaterial), &[(2, 4)]),
        arrow((2, 6), A, B, "/keyMaterial", Asks(MATERIAL), &[(2, 5)]),
        arrow((2, 7), B, A, "200 OK", Answers((2, 6)), &[]),
        arrow((2, 8), A, A1, "connect KPs", Answers((2, 5)), &[(2, 7)]),
        arrow((2, 9), A1, A, "Commit, etc.", AsksWith(Call::Update, Kind::Welcome), &[(2, 8)]),
        arrow((2, 10), A, A1, "Accepted", Answers((2, 9)), &[]),
        arrow((2, 11), A, B, "/notify", AsksWith(NOTIFY, Kind::Welcome), &[(2, 9)]),
        arrow((2, 12), B, A, "200 OK", Answers((2, 11)), &[]),
        arrow((2, 13), B, BOB, "Welcome, Tree", Delivers(Kind::Welcome), &[(2, 11)]),
        arrow((2, 14), A1, A, "Message", Asks(Call::SubmitMessage), &[(2, 10)]),
        arrow((2, 15), A, B, "/notify", AsksWith(NOTIFY, Kind::Message), &[(2, 14)]),
        arrow((2, 16), B, A, "200 OK", Answers((2, 15)), &[]),
        arrow((2, 17), B, BOB, "AliceID, KPs", Delivers(Kind::Message), &[(2, 13), (2, 15)]),
        arrow((3, 1), BOB, B, "Create room", Asks(Call::CreateRoom), &[(2, 17)]),
        arrow((3, 2), BOB, B, "Commit, etc.", AsksWith(Call::Update, Kind::Welcome), &[(3, 1)]),
        arrow((3, 3), B, A, "/notify", AsksWith(NOTIFY, Kind::Welcome), &[(3, 2)]),
        arrow((3, 4), A, A1, "Welcome, Tree", Delivers(Kind::Welcome), &[(3, 3)]),
        arrow((3, 5), BOB, B, "Message", Asks(Call::SubmitMessage), &[(3, 2)]),
        arrow((3, 6), B, A, "/notify", AsksWith(NOTIFY, Kind::Message), &[(3, 5)]),
        arrow((3, 7), A, A1, "Message", Delivers(Kind::Message), &[(3, 4), (3, 6)]),
    ],
};
