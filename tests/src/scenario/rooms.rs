//! What the scenarios with rooms that people come into have in common.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mimi_flow::{Command, Event, FlowId, NewRoom, SeenRoom};
use mimi_link::RoomLink;
use mimi_pseudonym::{ClaimName, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri};
use mimi_room::JoinLinkPolicy;

use crate::{
    people::{A1, People},
    sight::{Canary, Expectation, Sight},
};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The name of Alice's room.
pub(super) const NAME: &str = "The canary chess club";

/// What Alice's room wants of those who come: pseudonyms, and nothing in particular.
pub(super) fn identity() -> Result<IdentityPolicy> {
    let names = ClaimName::ALL.into_iter();
    let disclosure = DisclosurePolicy::new([], names, [])?;
    Ok(IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure })
}

/// Whether the providers of the scenarios vouch for such a claim.
pub(super) fn is_issued(name: ClaimName) -> bool {
    matches!(name, ClaimName::UserUri | ClaimName::Handle | ClaimName::DisplayName | ClaimName::Email)
}

/// Alice makes a room; her other client comes in.
pub(crate) async fn create(people: &mut People) -> Result<RoomUri> {
    let links = JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() };
    let new = NewRoom {
        name: NAME.to_owned(),
        description: "Tuesdays at eight".to_owned(),
        identity: identity()?,
        links,
        discoverable: true,
    };
    people.command(A1, Command::CreateRoom { room: new })?;
    let made = |told: &[(&'static str, Event)]| {
        told.iter().find_map(|(name, event)| match event {
            Event::RoomCreated { room, .. } if *name == "ClientA1" => Some(room.clone()),
            _ => None,
        })
    };
    people.until(PATIENCE, |told| made(told).is_some()).await?;
    let room = made(&people.told).context("the room")?;
    until_joined(people, &room, &["ClientA2"]).await?;
    people.settle().await?;
    Ok(room)
}

pub(super) async fn create_link(people: &mut People, room: &RoomUri, uses: Option<u32>) -> Result<String> {
    people.command(
        A1,
        Command::CreateLink { room: room.clone(), role: None, uses, lifetime: Some(Duration::from_secs(86_400)) },
    )?;
    let made = |told: &[(&'static str, Event)]| {
        told.iter().rev().find_map(|(_, event)| match event {
            Event::LinkCreated { link, .. } => Some(link.clone()),
            _ => None,
        })
    };
    people.until(PATIENCE, |told| made(told).is_some()).await?;
    made(&people.told).context("the link")
}

/// Somebody follows a link, and is shown the room.
pub(super) async fn look(people: &mut People, device: usize, link: &RoomLink) -> Result<(FlowId, SeenRoom)> {
    let visit = people.command(device, Command::Look { link: link.clone(), as_account: false })?.context("a visit")?;
    let name = people.devices.get(device).context("the device")?.name;
    let shown = |told: &[(&'static str, Event)]| {
        told.iter().find_map(|(who, event)| match event {
            Event::RoomSeen { visit: of, room } if *who == name && *of == visit => Some(room.clone()),
            _ => None,
        })
    };
    people.until(PATIENCE, |told| shown(told).is_some()).await?;
    Ok((visit, shown(&people.told).context("the room")?))
}

pub(super) async fn until_joined(people: &mut People, room: &RoomUri, names: &[&str]) -> Result<()> {
    let joined = |told: &[(&'static str, Event)], name: &str| {
        let is_it = |event: &Event| match event {
            Event::Joined { room: one } | Event::LetIn { room: one, .. } => one == room,
            _ => false,
        };
        told.iter().any(|(who, event)| *who == name && is_it(event))
    };
    people.until(PATIENCE, |told| names.iter().all(|name| joined(told, name))).await
}

/// Whether all who are in a room see the same clients there, so many, and everyone under a pseudonym.
pub(super) fn agree(people: &People, room: &RoomUri, clients: usize) -> Result<()> {
    let views: Vec<_> = people.devices.iter().map(|device| device.client.device().clients(room)).collect();
    let mut inside = views.into_iter().filter(|view| !view.is_empty()).map(|mut view| {
        view.sort();
        view
    });
    let first = inside.next().context("somebody is in the room")?;
    ensure!(first.len() == clients, "{} clients are in the room, not {clients}", first.len());
    ensure!(inside.all(|view| view == first), "the devices do not agree on who is in the room");
    ensure!(
        first.iter().all(|(user, client)| user.is_pseudonym() && client.is_pseudonym()),
        "somebody has no pseudonym"
    );
    Ok(())
}

/// The only pseudonym of a provider in a room, as a device sees it.
pub(super) fn name_in(people: &People, device: usize, room: &RoomUri, domain: &str) -> Result<String> {
    let device = people.devices.get(device).context("the device")?;
    let mut users: Vec<_> = device.client.device().clients(room).into_iter().map(|(user, _)| user).collect();
    users.retain(|user| user.domain().as_str() == domain);
    users.dedup();
    match users.as_slice() {
        [one] => Ok(one.to_string()),
        others => bail!("{} users of {domain} are in the room", others.len()),
    }
}

/// The table of these values, with what each provider may see of them.
pub(super) fn table<const N: usize>(
    providers: [&str; N],
    rows: Vec<(String, Vec<u8>, Vec<Expectation>)>,
) -> Result<Sight> {
    let canaries = rows.iter().map(|(name, octets, _)| Canary::new(name, octets)).collect();
    let mut sight = Sight::new(&providers, canaries)?;
    for (name, _, expected) in rows {
        for (provider, expectation) in providers.iter().zip(expected) {
            sight.expect(provider, &name, expectation)?;
        }
    }
    Ok(sight)
}
