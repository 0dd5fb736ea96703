//! The same load on Prosody, an XMPP server, to compare with: a room of multi-user chat at the first of two servers, half of
//! the participants at each, certificates between the servers, TLS to the clients, an archive in SQLite.

mod xmpp;

use std::{
    fs::{self, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tokio::sync::{mpsc, watch};

use self::xmpp::{Client, receive, send};
use super::{
    Costs, Load, Share, WARM_UP,
    drive::Run,
    ledger::{Ledger, faults, quantile},
    site::{folder_octets, used},
};
use crate::fixture::{Fixture, Keep};

/// The servers, and the host of the rooms, which the first one serves.
const HOSTS: [&str; 3] = ["a.example", "b.example", "rooms.a.example"];

/// Sends other servers to where they are, without asking the DNS.
const PLACES: &str = r#"
local service, basic = require "net.resolvers.service", require "net.resolvers.basic";
local places, new = module:get_option("places"), service.new;
service.new = function (host, name, proto, extra)
	local place = places[host];
	if place then return basic.new("127.0.0.1", place, proto, extra); end
	return new(host, name, proto, extra);
end
"#;

/// Everybody who knows the password may be who they want.
const PASSWORD: &str = r#"
local new_sasl = require "util.sasl".new;
local provider = {};
function provider.test_password(_, password) return password == "secret"; end
function provider.user_exists() return true; end
function provider.users() return function () end; end
function provider.get_sasl_handler()
	return new_sasl(module.host, { plain_test = function (_, _, password) return password == "secret", true; end });
end
module:provides("auth", provider);
"#;

/// Whether there is a Prosody on this machine.
pub fn is_there() -> bool {
    // Whatever it is started with, it serves: the file alone is looked for.
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join("prosody").is_file())
}

struct Server {
    domain: &'static str,
    clients: SocketAddr,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the load on two servers.
///
/// # Errors
/// If it cannot be run to its end. What is wrong with what arrived is in the costs.
pub async fn run(load: &Load) -> Result<Costs> {
    let fixture = Fixture::create("prosody", &HOSTS, Keep::No)?;
    let servers = start(&fixture).await?;
    let tls = Arc::new(fixture.client_tls()?);
    let run = Arc::<Run>::default();
    let (mut senders, mut receivers, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for room in 0..load.rooms {
        let ledger = Arc::<Ledger>::default();
        let (expected, told) = watch::channel(None);
        ends.push(expected);
        let (mut of_room, mut hearing) = (Vec::new(), Vec::new());
        for number in 0..load.size {
            let server = servers.get(number % servers.len()).context("no server runs")?;
            let user = format!("u{room}-{number}");
            let mut client = Client::connect(server.clients, server.domain, &tls, &user).await?;
            client.join(&format!("r{room}@{}", HOSTS[2]), &user).await?;
            let (reader, writer) = client.split();
            let (echo, echoes) = mpsc::unbounded_channel();
            hearing.push(tokio::spawn(receive(
                reader,
                user.clone(),
                echo,
                Arc::clone(&ledger),
                Arc::clone(&run),
                told.clone(),
            )));
            if number < servers.len() {
                let text = "x".repeat(load.octets);
                let to = format!("r{room}@{}", HOSTS[2]);
                of_room.push((writer, echoes, to, user, text, Arc::clone(&ledger)));
            }
        }
        senders.push(of_room);
        receivers.push(hearing);
    }
    let empty = folder_octets(fixture.root());
    let senders: Vec<Vec<_>> = senders
        .into_iter()
        .map(|room| {
            let begin = |(writer, echoes, to, user, text, ledger)| {
                tokio::spawn(send(writer, echoes, to, user, text, ledger, Arc::clone(&run), load.pause))
            };
            room.into_iter().map(begin).collect()
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let cpu = || servers.iter().map(|server| used(server.child.id())).collect::<Vec<_>>();
    let before = cpu();
    run.measures.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(load.seconds)).await;
    run.measures.store(false, Ordering::Relaxed);
    let (after, elapsed) = (cpu(), begun.elapsed());
    run.stop.store(true, Ordering::Relaxed);
    let mut rooms = Vec::new();
    for (room, (hearing, expected)) in senders.into_iter().zip(receivers.into_iter().zip(ends)) {
        let accepted = try_join_all(room).await?.into_iter().collect::<Result<Vec<_>>>()?;
        expected.send_replace(Some(accepted.iter().map(Vec::len).sum()));
        rooms.push((accepted, hearing));
    }
    let (mut micros, mut wrong, mut stored) = (Vec::new(), Vec::new(), 0);
    for (number, (accepted, hearing)) in rooms.into_iter().enumerate() {
        stored += accepted.iter().map(|tags| tags.len() as u64).sum::<u64>();
        let seen = try_join_all(hearing).await?.into_iter().collect::<Result<Vec<_>>>()?;
        let received: Vec<_> = seen.iter().map(|seen| seen.tags.clone()).collect();
        micros.extend(seen.into_iter().flat_map(|seen| seen.micros));
        wrong.extend(faults(&accepted, &received).into_iter().map(|fault| format!("room {number}: {fault}")));
    }
    let shares = servers.iter().zip(before.iter().zip(&after)).map(|(server, (before, after))| Share {
        name: format!("Prosody {}", server.domain),
        cpu: after.cpu - before.cpu,
        peak_kib: after.peak_kib,
    });
    Ok(Costs {
        size: load.size,
        rooms: load.rooms,
        elapsed,
        sent: run.sent.load(Ordering::Relaxed),
        delivered: run.delivered.load(Ordering::Relaxed),
        p50: Duration::from_micros(quantile(&mut micros, 0.5).into()),
        p99: Duration::from_micros(quantile(&mut micros, 0.99).into()),
        shares: shares.collect(),
        disk: folder_octets(fixture.root()).saturating_sub(empty),
        stored,
        faults: wrong,
    })
}

async fn start(fixture: &Fixture) -> Result<Vec<Server>> {
    let plugins = fixture.root().join("plugins");
    fs::create_dir_all(&plugins)?;
    fs::write(plugins.join("mod_places.lua"), PLACES)?;
    fs::write(plugins.join("mod_auth_known.lua"), PASSWORD)?;
    let certificates = fixture.root().join("certificates");
    fs::create_dir_all(&certificates)?;
    for host in HOSTS {
        let folder = fixture.root().join(host);
        fs::copy(folder.join("tls.pem"), certificates.join(format!("{host}.crt")))?;
        fs::copy(folder.join("tls.key"), certificates.join(format!("{host}.key")))?;
    }
    let ports: Vec<u16> = free_ports(4)?;
    let mut servers = Vec::new();
    for (number, domain) in HOSTS.into_iter().take(2).enumerate() {
        let [clients, own] = [number, number + 2].map(|at| ports.get(at).copied().unwrap_or_default());
        let between = [2, 3, 2].map(|at| ports.get(at).copied().unwrap_or_default());
        let places: Vec<_> = HOSTS.iter().zip(between).map(|(host, port)| format!("[\"{host}\"] = {port}")).collect();
        let folder = fixture.root().join(domain);
        let config = folder.join("prosody.cfg.lua");
        fs::write(&config, configuration(fixture.root(), domain, clients, own, &places.join("; ")))?;
        let log = OpenOptions::new().create(true).append(true).open(folder.join("prosody.out"))?;
        let child = Command::new("prosody")
            .args(["-F", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("prosody")?;
        let clients = SocketAddr::from((Ipv4Addr::LOCALHOST, clients));
        servers.push(Server { domain, clients, child });
        let until = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(clients).await.is_err() {
            if Instant::now() > until {
                bail!("{domain} does not start: {}", fs::read_to_string(folder.join("prosody.out"))?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(servers)
}

fn free_ports(count: usize) -> Result<Vec<u16>> {
    // All are held until all are chosen: none is given out twice.
    let held = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    Ok(held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect::<Result<_, _>>()?)
}

fn configuration(root: &Path, domain: &str, clients: u16, between: u16, places: &str) -> String {
    let (root, rooms) = (root.display(), HOSTS[2]);
    let component = format!(
        "Component \"{rooms}\" \"muc\"\n  modules_enabled = {{ \"muc_mam\" }}\n  muc_room_locking = false\n  \
         muc_log_by_default = true\n"
    );
    format!(
        "run_as_root = true\ninterfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{}}\nc2s_direct_tls_ports = {{ {clients} }}\n\
         s2s_ports = {{ {between} }}\ncomponent_ports = {{}}\nplugin_paths = {{ \"{root}/plugins\" }}\n\
         data_path = \"{root}/{domain}/data\"\npidfile = \"{root}/{domain}/prosody.pid\"\n\
         certificates = \"{root}/certificates\"\nssl = {{ cafile = \"{root}/roots.pem\" }}\n\
         modules_enabled = {{ \"saslauth\", \"tls\", \"disco\", \"s2s\", \"places\" }}\n\
         modules_disabled = {{ \"offline\", \"s2s_auth_dane_in\" }}\nplaces = {{ {places} }}\n\
         c2s_require_encryption = true\ns2s_require_encryption = true\ns2s_secure_auth = true\n\
         authentication = \"known\"\nstorage = \"sql\"\nsql = {{ driver = \"SQLite3\", database = \"{domain}.sqlite\" }}\n\
         network_backend = \"epoll\"\nnetwork_settings = {{ nagle = false }}\n\
         log = {{ warn = \"{root}/{domain}/prosody.log\" }}\n\nVirtualHost \"{domain}\"\n\n{}",
        if domain == HOSTS[0] { component.as_str() } else { "" }
    )
}
