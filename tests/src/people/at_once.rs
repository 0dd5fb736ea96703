use std::{cell::RefCell, time::Duration};

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use mimi_flow::Event;
use tokio::time::Instant;

use super::Device;

type Told = Vec<(&'static str, Event)>;

/// What all devices write to: what was told, and when something was told last.
pub(super) struct Shared<'a> {
    told: &'a mut Told,
    last: Instant,
}

/// Lets all devices go on at the same time, as they do in the world: each waits for its inbox in long requests, and none
/// for another. Ends when it is over, by what was told and how long nothing was told.
pub(super) async fn drive(
    devices: &mut [Device],
    told: &mut Told,
    wait: Duration,
    over: impl Fn(&[(&'static str, Event)], Duration) -> Result<bool>,
) -> Result<()> {
    let shared = RefCell::new(Shared { told, last: Instant::now() });
    let all = devices.iter_mut().map(|device| go_on(device, &shared, wait, &over));
    try_join_all(all).await.map(drop)
}

async fn go_on(
    device: &mut Device,
    shared: &RefCell<Shared<'_>>,
    wait: Duration,
    over: &impl Fn(&[(&'static str, Event)], Duration) -> Result<bool>,
) -> Result<()> {
    while !over(shared.borrow().told, shared.borrow().last.elapsed())? {
        let Some(event) = device.client.next_event(wait).await? else { continue };
        if let Event::Failed { reason, .. } = &event {
            bail!("{}: {reason}", device.name);
        }
        let mut shared = shared.borrow_mut();
        shared.told.push((device.name, event));
        shared.last = Instant::now();
    }
    Ok(())
}
