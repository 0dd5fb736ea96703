//! Requests to other providers: one after the other to each of them, and to many of them at the same time.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use mimi_pseudonym::Domain;

/// Providers that are asked at the same time.
const PLACES: usize = 16;

/// Does something with all of it. `act` says whether the provider has answered; it is told so of the one before, and does not ask
/// one again that has not.
pub(super) async fn at_each<T, Acting>(things: Vec<(Domain, T)>, act: impl Fn(T, bool) -> Acting)
where
    Acting: Future<Output = bool>,
{
    let mut providers = BTreeMap::<Domain, Vec<T>>::new();
    for (provider, thing) in things {
        providers.entry(provider).or_default().push(thing);
    }
    let act = &act;
    let one = |things: Vec<T>| async move {
        let mut answers = true;
        for thing in things {
            answers = act(thing, answers).await && answers;
        }
    };
    stream::iter(providers.into_values()).for_each_concurrent(PLACES, one).await;
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::{sync::Notify, time::timeout};

    use super::*;

    #[tokio::test]
    async fn a_provider_that_does_not_answer_holds_up_no_other_and_is_asked_once() {
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        let dead = domain("a.example");
        let mut things: Vec<_> = (0..3).map(|number| (dead.clone(), (dead.clone(), number))).collect();
        for name in ["b.example", "c.example"] {
            things.extend((0..3).map(|number| (domain(name), (domain(name), number))));
        }
        let (others, done, all) = (Notify::new(), Mutex::new(Vec::new()), 6);
        let act = |(provider, number): (Domain, i32), answers: bool| {
            let (others, done, dead) = (&others, &done, &dead);
            async move {
                if provider == *dead {
                    if answers {
                        // It takes as long as everything else together.
                        others.notified().await;
                    }
                    done.lock().unwrap().push((provider, number, answers));
                    return false;
                }
                let mut done = done.lock().unwrap();
                done.push((provider, number, answers));
                if done.len() == all {
                    others.notify_one();
                }
                true
            }
        };
        timeout(Duration::from_secs(60), at_each(things, act)).await.expect("the others wait for the dead one");
        let done = done.into_inner().unwrap();
        assert!(done[..all].iter().all(|(provider, _, answers)| *provider != dead && *answers));
        assert_eq!(done[all..], [(dead.clone(), 0, true), (dead.clone(), 1, false), (dead, 2, false)]);
        for name in ["b.example", "c.example"] {
            let order = done.iter().filter(|(provider, ..)| provider.as_str() == name).map(|(_, number, _)| *number);
            assert_eq!(order.collect::<Vec<_>>(), [0, 1, 2]);
        }
    }
}
