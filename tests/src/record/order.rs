use std::collections::HashMap;

use mimi_wire::Endpoint;

use super::Exchange;
use crate::call::{Call, Kind, Load, deliveries};

/// One half of an exchange, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The request.
    Request(usize),
    /// The answer.
    Answer(usize),
}

/// Puts requests and answers in an order in which a cause comes before what it causes.
///
/// A recording says when an exchange ended and not when it began. What is known besides is what each one carried: a
/// provider passes on a question while its client waits for the answer, and fans out a message that it was given. So a
/// request is moved up from the end of its exchange as far as that needs, and no further.
pub fn in_order(exchanges: &[Exchange]) -> Vec<Step> {
    let stages: Vec<u8> = exchanges.iter().map(stage).collect();
    let mut carriers: HashMap<Load, Vec<usize>> = HashMap::new();
    for (at, exchange) in exchanges.iter().enumerate() {
        let inbox = deliveries_of(exchange).into_iter();
        for load in exchange.call.loads(&exchange.request).into_iter().chain(inbox) {
            carriers.entry(load).or_default().push(at);
        }
    }
    let mut begins: Vec<usize> = (0..exchanges.len()).collect();
    // From the last stage to the first: a request that moves up takes along what caused it.
    for stage in (1..=LAST_STAGE).rev() {
        for (load, carriers) in &carriers {
            for effect in carriers.iter().copied().filter(|at| stages.get(*at) == Some(&stage)) {
                let begin = begins.get(effect).copied().unwrap_or(effect);
                for cause in causes(exchanges, &stages, load.kind, carriers, (begin, effect)) {
                    if let Some(slot) = begins.get_mut(cause) {
                        *slot = begin.min(*slot);
                    }
                }
            }
        }
    }
    let mut steps = Vec::new();
    for (at, (begin, stage)) in begins.into_iter().zip(stages).enumerate() {
        steps.push(((begin, stage), Step::Request(at)));
        steps.push(((at, LAST_STAGE + 1), Step::Answer(at)));
    }
    steps.sort_by_key(|(place, _)| *place);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// The exchanges that must have begun before `effect`, which began at `begin`, and ended later, among those that carried
/// the same.
fn causes(
    exchanges: &[Exchange],
    stages: &[u8],
    kind: Kind,
    carriers: &[usize],
    (begin, effect): (usize, usize),
) -> Vec<usize> {
    let (Some(own), Some(own_stage)) = (exchanges.get(effect), stages.get(effect)) else { return Vec::new() };
    // The provider that passed it on.
    let via = if own.call == Call::Inbox { own.to } else { own.from };
    let before = |at: &usize, stage: u8| {
        stages.get(*at) == Some(&stage) && exchanges.get(*at).is_some_and(|exchange| exchange.to == via)
    };
    let cause = |stage: u8| {
        let mut causes = carriers.iter().copied().filter(|at| before(at, stage));
        match kind {
            // A question is passed on in the midst of the exchange that asked it.
            Kind::Question => causes.find(|at| *at > effect),
            // Whoever carried it first, unless that was over by then.
            _ => causes.next().filter(|at| *at > begin),
        }
    };
    (0..*own_stage).filter_map(cause).collect()
}

const LAST_STAGE: u8 = 3;

/// How far from its origin a message is in this exchange.
fn stage(exchange: &Exchange) -> u8 {
    match exchange.call {
        Call::Inbox => LAST_STAGE,
        Call::Peer(Endpoint::Notify) => 2,
        Call::Peer(_) => 1,
        _ => 0,
    }
}

fn deliveries_of(exchange: &Exchange) -> Vec<Load> {
    if exchange.call != Call::Inbox {
        return Vec::new();
    }
    deliveries(&exchange.response).into_iter().map(|delivery| delivery.load).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Actor::{ClientA1, ClientB1, ServerA, ServerB},
            sample::{self, exchange},
        },
        *,
    };

    #[test]
    fn a_question_is_passed_on_while_it_is_asked() {
        let (asked, forwarded) = sample::query("bob");
        let query = |at| exchange(at, ClientA1, ServerA, Call::IdentifierQuery, &asked, b"");
        let passed_on = |at| exchange(at, ServerA, ServerB, Call::Peer(Endpoint::IdentifierQuery), &forwarded, b"");
        // The same question twice: each is passed on within its own exchange.
        let order = in_order(&[passed_on(1), query(2), passed_on(3), query(4)]);
        let once =
            |inner, outer| [Step::Request(outer), Step::Request(inner), Step::Answer(inner), Step::Answer(outer)];
        assert_eq!(order, [once(0, 1), once(2, 3)].concat());
    }

    #[test]
    fn a_message_is_submitted_before_it_is_delivered_whatever_ended_first() {
        let delivery = exchange(1, ClientB1, ServerB, Call::Inbox, b"", &sample::inbox(&[(1, b"m")]));
        let notify = exchange(2, ServerA, ServerB, Call::Peer(Endpoint::Notify), &sample::notify(&[b"m"]), b"");
        let submit = exchange(3, ClientA1, ServerA, Call::SubmitMessage, &sample::submit(b"m"), b"");
        let order = in_order(&[delivery, notify, submit]);
        let expected =
            [Step::Request(2), Step::Request(1), Step::Request(0), Step::Answer(0), Step::Answer(1), Step::Answer(2)];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_hub_that_answers_before_it_has_notified_still_notifies_before_the_delivery() {
        let delivery = exchange(1, ClientB1, ServerB, Call::Inbox, b"", &sample::inbox(&[(1, b"m")]));
        let submit = exchange(2, ClientA1, ServerA, Call::SubmitMessage, &sample::submit(b"m"), b"");
        let notify = exchange(3, ServerA, ServerB, Call::Peer(Endpoint::Notify), &sample::notify(&[b"m"]), b"");
        let order = in_order(&[delivery, submit, notify]);
        assert_eq!(order.split_at(4).0, [Step::Request(1), Step::Request(2), Step::Request(0), Step::Answer(0),]);
    }

    #[test]
    fn a_delivery_at_the_hub_is_not_held_up_by_a_notification() {
        let submit = exchange(1, ClientA1, ServerA, Call::SubmitMessage, &sample::submit(b"m"), b"");
        let delivery = exchange(2, ClientA1, ServerA, Call::Inbox, b"", &sample::inbox(&[(1, b"m")]));
        let notify = exchange(9, ServerA, ServerB, Call::Peer(Endpoint::Notify), &sample::notify(&[b"m"]), b"");
        let order = in_order(&[submit, delivery, notify]);
        assert_eq!(order.last_chunk(), Some(&[Step::Request(2), Step::Answer(2)]));
    }

    #[test]
    fn a_retry_after_the_delivery_is_not_its_cause() {
        let notify = |at| exchange(at, ServerA, ServerB, Call::Peer(Endpoint::Notify), &sample::notify(&[b"m"]), b"");
        let delivery = exchange(2, ClientB1, ServerB, Call::Inbox, b"", &sample::inbox(&[(1, b"m")]));
        let order = in_order(&[notify(1), delivery, notify(3)]);
        let expected = [0, 1, 2].into_iter().flat_map(|at| [Step::Request(at), Step::Answer(at)]).collect::<Vec<_>>();
        assert_eq!(order, expected);
    }
}
