//! Clients that act each for itself, where nothing is told of who they are together.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use mimi_client::{Account, Client};
use mimi_flow::{Command, Delays, Event, NewRoom};
use mimi_pseudonym::{CipherSuite, ClaimName, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri};
use mimi_room::JoinLinkPolicy;

use crate::{
    fixture::Fixture,
    people::{MovedClock, surroundings},
};

/// How long one of them is looked at before the next.
const TURN: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a client has its store.
pub fn store(fixture: &Fixture, name: &str) -> PathBuf {
    fixture.root().join(format!("{name}.sqlite"))
}

/// Opens an account with one device.
///
/// # Errors
/// If the provider refuses.
pub async fn register(
    fixture: &Fixture,
    clock: &Arc<MovedClock>,
    suite: CipherSuite,
    domain: &str,
    handle: &str,
) -> Result<Client> {
    let account = Account {
        handle: handle.into(),
        display_name: handle.into(),
        email: String::new(),
        device_name: "telephone".into(),
    };
    let around = surroundings(fixture, domain, clock)?;
    Ok(Client::register(&store(fixture, handle), account, suite, Delays::default(), around).await?.0)
}

/// Lets clients go on until one of them is told something.
///
/// # Errors
/// If a flow fails, or it does not come.
pub async fn until<T>(clients: &mut [&mut Client], read: impl Fn(usize, &Event) -> Option<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        for (at, client) in clients.iter_mut().enumerate() {
            let Some(event) = client.next_event(TURN).await? else { continue };
            ensure!(!matches!(event, Event::Failed { .. }), "{at}: {event:?}");
            if let Some(read) = read(at, &event) {
                client.told()?;
                return Ok(read);
            }
        }
        ensure!(begun.elapsed() < PATIENCE, "it does not come");
    }
}

/// Gets a client one pseudonym more.
///
/// # Errors
/// As [`until`].
pub async fn prepare(client: &mut Client) -> Result<()> {
    client.command(Command::Prepare { pseudonyms: 1 })?;
    until(&mut [client], |_, event| matches!(event, Event::Ready { .. }).then_some(())).await
}

/// A room for pseudonyms, in which anything may be disclosed and others come in by links.
///
/// # Errors
/// If the claims do not make a policy.
pub fn new_room(name: &str) -> Result<NewRoom> {
    Ok(NewRoom {
        name: name.into(),
        description: String::new(),
        identity: IdentityPolicy {
            pseudonyms: PseudonymUse::Required,
            disclosure: DisclosurePolicy::new([], ClaimName::ALL, [])?,
        },
        links: JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() },
        discoverable: true,
    })
}

/// Makes such a room.
///
/// # Errors
/// As [`until`].
pub async fn found(founder: &mut Client, name: &str) -> Result<RoomUri> {
    founder.command(Command::CreateRoom { room: new_room(name)? })?;
    let made = |_: usize, event: &Event| match event {
        Event::RoomCreated { room, .. } => Some(room.clone()),
        _ => None,
    };
    until(&mut [founder], made).await
}

/// Lets another one into a room, by a link that is good once.
///
/// # Errors
/// As [`until`].
pub async fn let_in(founder: &mut Client, room: &RoomUri, other: &mut Client) -> Result<()> {
    founder.command(Command::CreateLink { room: room.clone(), role: None, uses: Some(1), lifetime: None })?;
    let link = |_: usize, event: &Event| match event {
        Event::LinkCreated { link, .. } => Some(link.clone()),
        _ => None,
    };
    let link = until(&mut [founder], link).await?;
    other.command(Command::Look { link: link.parse()?, as_account: false })?;
    let seen = |_: usize, event: &Event| match event {
        Event::RoomSeen { visit, .. } => Some(*visit),
        _ => None,
    };
    let visit = until(&mut [other], seen).await?;
    other.command(Command::JoinSeen { visit })?;
    until(&mut [other], |_, event| matches!(event, Event::Joined { .. }).then_some(())).await
}
