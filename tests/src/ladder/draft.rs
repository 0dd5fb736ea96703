use mimi_wire::Endpoint;

use super::Arrow;
use crate::{
    call::{Call, Kind},
    record::Actor::{self, ClientA1, ClientB1, ClientB2, ClientC1, ClientC2, ServerA, ServerB, ServerC},
};

mod section_3_1;
mod section_3_2;
mod section_3_3;

pub use self::{section_3_1::CONNECTION, section_3_2::JOIN_LINK, section_3_3::KNOCK};

/// The ladder diagrams of one section of the pseudonyms draft.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// The section, for example `3.1`.
    pub section: &'static str,
    /// The columns from left to right, those that the draft does not draw at the end.
    pub columns: &'static [Column],
    /// Every arrow of the draft's, from top to bottom.
    pub arrows: &'static [DraftArrow],
}

/// A column: its heading and who stands in it.
pub type Column = (&'static str, &'static [Actor]);

/// An arrow of the ladder diagrams in section 3 of the pseudonyms draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DraftArrow {
    /// The diagram, from 1, and the arrow's number in it from top to bottom, from 1.
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

/// Who stands at an end of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftActor {
    /// A single one.
    One(Actor),
    /// `ClientB*`: any client of Bob.
    AnyB,
    /// `ClientC*`: any client of Cathy.
    AnyC,
}

impl DraftActor {
    pub(super) fn is(self, actor: Actor) -> bool {
        match self {
            Self::One(one) => one == actor,
            Self::AnyB => matches!(actor, ClientB1 | ClientB2),
            Self::AnyC => matches!(actor, ClientC1 | ClientC2),
        }
    }

    /// The column's heading.
    pub fn name(self) -> String {
        match self {
            Self::One(one) => one.to_string(),
            Self::AnyB => "ClientB*".to_owned(),
            Self::AnyC => "ClientC*".to_owned(),
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
    /// What is handed over without any provider.
    HandedOver,
}

use What::{Answers, Asks, AsksWith, Delivers, HandedOver};

const A1: DraftActor = DraftActor::One(ClientA1);
const A: DraftActor = DraftActor::One(ServerA);
const B: DraftActor = DraftActor::One(ServerB);
const C: DraftActor = DraftActor::One(ServerC);
const BOB: DraftActor = DraftActor::AnyB;
const CATHY: DraftActor = DraftActor::AnyC;
const NOTIFY: Call = Call::Peer(Endpoint::Notify);
const UPDATE: Call = Call::Peer(Endpoint::Update);
const SUBMIT: Call = Call::Peer(Endpoint::SubmitMessage);
const QUERY: Call = Call::Peer(Endpoint::IdentifierQuery);
const MATERIAL: Call = Call::Peer(Endpoint::KeyMaterial);
const GROUP_INFO: Call = Call::Peer(Endpoint::GroupInfo);

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

/// An arrow of the draft, and where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The draft's arrow.
    pub draft: DraftArrow,
    /// Its place among the arrows that happened; `None` if it is missing.
    pub place: Option<usize>,
}

/// Looks for every arrow of the draft among the arrows that happened, each after what has to come before it.
/// An arrow may stand for two of the draft's, where one notification or delivery carries what the draft has two for.
pub fn check(draft: &Draft, arrows: &[Arrow]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for draft in draft.arrows.iter().copied() {
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
                    HandedOver => arrow.call == Call::HandOver,
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
    use crate::record::Actor::ClientA2;

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
        check(&CONNECTION, arrows)
            .into_iter()
            .filter(|found| found.place.is_none())
            .map(|found| found.draft.number)
            .collect()
    }

    #[test]
    fn the_whole_flow_has_every_arrow() {
        assert_eq!(missing(&whole_flow()), []);
    }

    #[test]
    fn numbers_go_up_and_causes_come_first() {
        let drafts = [CONNECTION, JOIN_LINK, KNOCK];
        let places = drafts.iter().flat_map(|draft| (0..draft.arrows.len()).map(move |at| (draft.arrows, at)));
        for (arrows, at) in places {
            let (draft, before) = (arrows[at], &arrows[..at]);
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
        assert_eq!(missing(&[]).len(), CONNECTION.arrows.len());
    }
}
