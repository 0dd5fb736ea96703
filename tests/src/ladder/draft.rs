use mimi_wire::Endpoint;

use super::Arrow;
use crate::{
    call::{Call, Kind},
    record::Actor::{self, ClientA1, ServerA, ServerB},
};

/// An arrow of the three ladder diagrams in section 3.1 of the pseudonyms draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftArrow {
    /// The diagram, from 1 to 3, and the arrow's number in it from top to bottom, from 1.
    pub number: (u8, u8),
    /// Where it begins.
    pub from: DraftActor,
    /// Where it ends.
    pub to: DraftActor,
    /// What the draft writes beside it; empty where that is nothing.
    pub label: &'static str,
    what: What,
    /// What has to come before it. The drawing puts some arrows below others that they do not wait for: Alice's message
    /// does not wait for Bob's provider, and the two providers of the first diagram know nothing of each other.
    after: &'static [(u8, u8)],
}

/// A column of the draft's diagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftActor {
    /// A single one.
    One(Actor),
    /// `ClientB*`: any client of Bob.
    AnyB,
}

impl DraftActor {
    fn is(self, actor: Actor) -> bool {
        match self {
            Self::One(one) => one == actor,
            Self::AnyB => actor.is_bobs_client(),
        }
    }

    /// The column's heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::One(ClientA1) => "ClientA1",
            Self::One(ServerA) => "ServerA",
            Self::One(ServerB) => "ServerB",
            _ => "ClientB*",
        }
    }
}

/// How an arrow is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The request of a call that was accepted.
    Asks(Call),
    /// The same, if it carries this.
    AsksWith(Call, Kind),
    /// The answer to the request that another arrow of the draft is.
    Answers((u8, u8)),
    /// A delivery of this.
    Delivers(Kind),
}

use What::{Answers, Asks, AsksWith, Delivers};

const A1: DraftActor = DraftActor::One(ClientA1);
const A: DraftActor = DraftActor::One(ServerA);
const B: DraftActor = DraftActor::One(ServerB);
const BOB: DraftActor = DraftActor::AnyB;
const NOTIFY: Call = Call::Peer(Endpoint::Notify);
const QUERY: Call = Call::Peer(Endpoint::IdentifierQuery);
const MATERIAL: Call = Call::Peer(Endpoint::KeyMaterial);

const fn arrow(
    number: (u8, u8),
    from: DraftActor,
    to: DraftActor,
    label: &'static str,
    what: What,
    after: &'static [(u8, u8)],
) -> DraftArrow {
    DraftArrow { number, from, to, label, what, after }
}

/// Every arrow of section 3.1.
const SECTION_3_1: [DraftArrow; 30] = [
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
];

/// An arrow of the draft, and where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The draft's arrow.
    pub draft: DraftArrow,
    /// Its place among the arrows that happened; `None` if it is missing.
    pub place: Option<usize>,
}

/// Looks for every arrow of section 3.1 among the arrows that happened, each after what has to come before it.
/// An arrow may stand for two of the draft's, where one notification or delivery carries what the draft has two for.
pub fn check(arrows: &[Arrow]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for draft in SECTION_3_1 {
        let place_of = |number: &(u8, u8)| {
            findings.iter().find(|finding| finding.draft.number == *number).and_then(|finding| finding.place)
        };
        // Each is taken as early as possible, so that as much as possible is left for those that come after. What comes
        // after a missing one is looked for all the same.
        let earliest = draft.after.iter().filter_map(place_of).map(|place| place + 1).max().unwrap_or_default();
        let fits = |(_, arrow): &(usize, &Arrow)| {
            let asks = |call| !arrow.answer && arrow.call == call && arrow.accepted;
            draft.from.is(arrow.from)
                && draft.to.is(arrow.to)
                && match draft.what {
                    Asks(call) => asks(call),
                    AsksWith(call, kind) => asks(call) && arrow.carries.contains(&kind),
                    Delivers(kind) => arrow.answer && arrow.call == Call::Inbox && arrow.carries.contains(&kind),
                    Answers(number) => {
                        let asked = place_of(&number).and_then(|place| arrows.get(place));
                        arrow.answer && asked.is_some_and(|asked| asked.exchange == arrow.exchange)
                    }
                }
        };
        let place = arrows.iter().enumerate().skip(earliest).find(fits).map(|(at, _)| at);
        findings.push(Finding { draft, place });
    }
    findings
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::Actor::{ClientA2, ClientB1, ClientB2};

    /// Both arrows of an exchange, or the delivery alone.
    fn both(exchange: usize, from: Actor, to: Actor, call: Call, carries: &[Kind]) -> Vec<Arrow> {
        let request = Arrow {
            at_ms: exchange as u64,
            from,
            to,
            label: "request".into(),
            call,
            exchange,
            answer: false,
            accepted: true,
            carries: carries.to_vec(),
            octets: 1000 + exchange,
        };
        let answer =
            Arrow { from: to, to: from, answer: true, label: "answer".into(), octets: exchange, ..request.clone() };
        if call == Call::Inbox { vec![answer] } else { vec![request, answer] }
    }

    /// The flow as it should be, in the order in which it might happen.
    pub(in crate::ladder) fn whole_flow() -> Vec<Arrow> {
        let welcome = [Kind::Welcome, Kind::Commit];
        let calls: [(Actor, Actor, Call, &[Kind]); 22] = [
            (ClientB1, ServerB, Call::Pseudonyms, &[]),
            (ClientB1, ServerB, Call::KeyPackages, &[]),
            (ClientA1, ServerA, Call::Pseudonyms, &[]),
            (ClientA1, ServerA, Call::KeyPackages, &[]),
            (ClientA1, ServerA, Call::CreateRoom, &[]),
            (ClientA1, ServerA, Call::Update, &welcome),
            (ClientA2, ServerA, Call::Inbox, &[Kind::Welcome]),
            (ServerA, ServerB, QUERY, &[Kind::Question]),
            (ClientA1, ServerA, Call::KeyMaterial, &[Kind::Question]),
            (ServerA, ServerB, MATERIAL, &[Kind::Question]),
            (ClientA1, ServerA, Call::Update, &welcome),
            (ClientA1, ServerA, Call::SubmitMessage, &[Kind::Message]),
            (ServerA, ServerB, NOTIFY, &[Kind::Welcome]),
            (ClientB2, ServerB, Call::Inbox, &[Kind::Welcome]),
            (ServerA, ServerB, NOTIFY, &[Kind::Message]),
            (ClientB2, ServerB, Call::Inbox, &[Kind::Message]),
            (ClientB1, ServerB, Call::CreateRoom, &[]),
            (ClientB1, ServerB, Call::Update, &welcome),
            (ClientB1, ServerB, Call::SubmitMessage, &[Kind::Message]),
            (ServerB, ServerA, NOTIFY, &[Kind::Welcome]),
            (ServerB, ServerA, NOTIFY, &[Kind::Message]),
            (ClientA1, ServerA, Call::Inbox, &[Kind::Welcome, Kind::Message]),
        ];
        let mut arrows: Vec<Arrow> = calls
            .into_iter()
            .enumerate()
            .flat_map(|(at, (from, to, call, carries))| both(at, from, to, call, carries))
            .collect();
        // The client's answer comes after the provider's.
        let answered = arrows.iter().position(|arrow| arrow.exchange == 8 && arrow.answer).unwrap();
        let answer = arrows.remove(answered);
        let after = arrows.iter().position(|arrow| arrow.exchange == 9 && arrow.answer).unwrap();
        arrows.insert(after + 1, answer);
        // One delivery that carries both comes before itself: the message needs a delivery of its own.
        let last = arrows.pop().unwrap();
        arrows.push(Arrow { carries: vec![Kind::Welcome], ..last.clone() });
        arrows.push(Arrow { carries: vec![Kind::Message], exchange: 22, ..last });
        arrows
    }

    fn missing(arrows: &[Arrow]) -> Vec<(u8, u8)> {
        check(arrows).into_iter().filter(|found| found.place.is_none()).map(|found| found.draft.number).collect()
    }

    #[test]
    fn the_whole_flow_has_every_arrow() {
        assert_eq!(missing(&whole_flow()), []);
    }

    #[test]
    fn numbers_go_up_and_causes_come_first() {
        for (at, draft) in SECTION_3_1.iter().enumerate() {
            let before = &SECTION_3_1[..at];
            assert!(before.iter().all(|other| other.number < draft.number), "{:?}", draft.number);
            let answered = match draft.what {
                Answers(number) => vec![number],
                _ => Vec::new(),
            };
            for cause in draft.after.iter().chain(&answered) {
                assert!(before.iter().any(|other| other.number == *cause), "{:?} after {cause:?}", draft.number);
            }
        }
    }

    #[test]
    fn an_arrow_that_is_not_there_is_missing_with_its_answer() {
        let without =
            |exchange| -> Vec<Arrow> { whole_flow().into_iter().filter(|arrow| arrow.exchange != exchange).collect() };
        assert_eq!(missing(&without(7)), [(2, 3), (2, 4)]);
        assert_eq!(missing(&without(15)), [(2, 17)]);
        assert_eq!(missing(&without(19)), [(3, 3)]);
        // Without the commit that adds her other client, the one that adds Bob is taken for it, and what has to come
        // between the two is missed.
        assert_eq!(missing(&without(5)), [(2, 3), (2, 4)]);
    }

    #[test]
    fn an_arrow_that_was_refused_or_came_too_early_is_missing() {
        let mut refused = whole_flow();
        refused.iter_mut().filter(|arrow| arrow.exchange == 11).for_each(|arrow| arrow.accepted = false);
        assert_eq!(missing(&refused), [(2, 14)]);
        let mut early = whole_flow();
        early.sort_by_key(|arrow| arrow.call != Call::CreateRoom);
        assert_eq!(missing(&early), [(2, 1), (3, 1)]);
    }

    #[test]
    fn nothing_has_every_arrow_missing() {
        assert_eq!(missing(&[]).len(), SECTION_3_1.len());
    }
}
