//! Pseudonyms that a provider ties to their account otherwise than directly, drawn by the client of this workspace: each with
//! a device of its own, and, where accounts are sealed, seen by the owner when one is opened.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::PathBuf, process::Command as Program, sync::Arc, time::Duration};

use mimi_client::{Client, ClientError, TransportError};
use mimi_e2e::{
    alone,
    fixture::Keep,
    people::{MovedClock, surroundings},
    process::provider_binary,
    scenario::{TWO, World},
};
use mimi_flow::Delays;
use mimi_pseudonym::CipherSuite;
use mimi_wire::Problem;

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const DOMAIN: &str = "a.example";

/// A provider that ties like this.
struct Scene {
    world: World,
    clock: Arc<MovedClock>,
}

impl Scene {
    async fn start(name: &str, ties: &str, keys: Option<&str>) -> Self {
        let world = World::start(name, &TWO, Keep::No).await.unwrap();
        let mut scene = Self { world, clock: Arc::new(MovedClock::new(0)) };
        let config = scene.world.fixture().site(DOMAIN).unwrap().config();
        if let Some(purpose) = keys {
            scene.operator(&["tie", "deal", purpose, "2", "3", config.parent().unwrap().to_str().unwrap()], false);
        }
        scene.world.configure(DOMAIN, &format!("[ties]\n{ties}")).await.unwrap();
        scene
    }

    async fn restart(&mut self) {
        let process = self.world.process(DOMAIN).unwrap();
        process.stop().await.unwrap();
        process.restart(0).await.unwrap();
    }

    fn operator(&self, arguments: &[&str], configured: bool) {
        let mut program = Program::new(provider_binary().unwrap());
        program.args(arguments);
        if configured {
            program.arg("--config").arg(self.world.fixture().site(DOMAIN).unwrap().config());
        }
        let output = program.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn store(&self, name: &str) -> PathBuf {
        alone::store(self.world.fixture(), name)
    }

    async fn register(&self, handle: &str) -> Client {
        alone::register(self.world.fixture(), &self.clock, SUITE, DOMAIN, handle).await.unwrap()
    }

    async fn detach(&self, account: &mut Client, name: &str) -> Result<Client, ClientError> {
        let around = surroundings(self.world.fixture(), DOMAIN, &self.clock).unwrap();
        account.detach(&self.store(name), SUITE, Delays::default(), around).await
    }

    /// How many rows the provider has in a table.
    fn count(&self, table: &str) -> i64 {
        let path = self.world.fixture().site(DOMAIN).unwrap().data().join("provider.sqlite");
        let database = rusqlite::Connection::open(path).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

fn is_refused<T>(result: &Result<T, ClientError>, as_this: &Problem) -> bool {
    matches!(result, Err(ClientError::Transport(TransportError::Refused(problem))) if problem == as_this)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_that_a_pseudonym_of_its_own_was_opened() {
    let ties = "way = \"break-glass\"\nkey = \"operators.key\"\npseudonyms = 2\n";
    let mut scene = Scene::start("detached", ties, Some("opening")).await;
    let mut alice = scene.register("alice.wonder").await;
    let mut bob = scene.register("bob.builder").await;

    // The first answer is as good as lost: the new device does not get as far as its provider.
    let mut around = surroundings(scene.world.fixture(), DOMAIN, &scene.clock).unwrap();
    around.provider.address = Some("127.0.0.1:9".parse().unwrap());
    around.provider.port = 9;
    let cut_off = alice.detach(&scene.store("one"), SUITE, Delays::default(), around).await;
    assert!(matches!(cut_off, Err(ClientError::Transport(TransportError::Unreachable))), "{cut_off:?}");
    assert_eq!(scene.count("tie_rows"), 1);
    let mut one = scene.detach(&mut alice, "one").await.unwrap();
    assert_eq!(scene.count("tie_rows"), 1, "drawn once");
    let pseudonym = one.device().profile().user.clone();
    assert!(pseudonym.is_pseudonym());
    assert!(matches!(scene.detach(&mut alice, "one").await, Err(ClientError::DeviceExists)));
    alone::prepare(&mut one).await.unwrap();
    assert_eq!((one.device().fresh_pseudonyms(), alice.device().fresh_pseudonyms()), (1, 0));

    // The quota holds, and a pseudonym draws none.
    let mut two = scene.detach(&mut alice, "two").await.unwrap();
    let third = scene.detach(&mut alice, "three").await;
    assert!(is_refused(&third, &Problem::OverQuota), "{third:?}");
    let of_a_pseudonym = scene.detach(&mut two, "four").await;
    assert!(is_refused(&of_a_pseudonym, &Problem::Forbidden), "{of_a_pseudonym:?}");
    let of_bob = scene.detach(&mut bob, "of-bob").await.unwrap();

    // Entries are seen by the owner, also after the device was opened again, and by nobody else.
    assert_eq!(alice.openings().await.unwrap(), []);
    scene.operator(&["tie", "request", pseudonym.as_str(), "abuse desk", "threats"], true);
    drop(alice);
    let around = surroundings(scene.world.fixture(), DOMAIN, &scene.clock).unwrap();
    let mut alice = Client::open(&scene.store("alice.wonder"), around).unwrap();
    let seen = alice.openings().await.unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((&seen[0].pseudonym, seen[0].requester.as_str()), (&pseudonym, "abuse desk"));
    assert_eq!(seen[0].reason, "threats");
    assert_eq!(bob.openings().await.unwrap(), []);
    assert_eq!(one.openings().await.unwrap(), [], "a pseudonym's own device has no mark");
    for _ in 0..70 {
        let of_bob = of_bob.device().profile().user.as_str();
        scene.operator(&["tie", "request", of_bob, "abuse desk", "spam"], true);
    }
    assert_eq!(alice.openings().await.unwrap().len(), 1, "behind the first page, too");
    assert_eq!(bob.openings().await.unwrap().len(), 70);

    // A log that has become shorter is not believed, nor one in which an entry was changed.
    let database = scene.world.fixture().site(DOMAIN).unwrap().data().join("provider.sqlite");
    let change = |sql: &str| rusqlite::Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    scene.world.process(DOMAIN).unwrap().stop().await.unwrap();
    change("CREATE TABLE kept AS SELECT * FROM tie_openings; DELETE FROM tie_openings WHERE position = 70;");
    scene.world.process(DOMAIN).unwrap().restart(0).await.unwrap();
    assert!(matches!(alice.openings().await, Err(ClientError::OpeningsLog)));
    scene.world.process(DOMAIN).unwrap().stop().await.unwrap();
    change(
        "DELETE FROM tie_openings; INSERT INTO tie_openings SELECT * FROM kept; \
         UPDATE tie_openings SET entry = (SELECT entry FROM kept WHERE position = 1) WHERE position = 0;",
    );
    scene.world.process(DOMAIN).unwrap().restart(0).await.unwrap();
    assert!(matches!(alice.openings().await, Err(ClientError::OpeningsLog)));
    // Bob has nothing to do with it, and yet notices.
    assert!(matches!(bob.openings().await, Err(ClientError::OpeningsLog)));
    scene.world.process(DOMAIN).unwrap().stop().await.unwrap();
    change("DELETE FROM tie_openings; INSERT INTO tie_openings SELECT * FROM kept; DROP TABLE kept;");
    scene.world.process(DOMAIN).unwrap().restart(0).await.unwrap();
    assert_eq!(alice.openings().await.unwrap().len(), 1);

    // That operators are asked for all her pseudonyms, she sees as well.
    scene.operator(&["names", "request", "alice.wonder", "abuse desk", "spam under two names"], true);
    let seen = alice.openings().await.unwrap();
    let about = seen.iter().find(|opening| opening.pseudonym == alice.device().profile().user).unwrap();
    assert_eq!((seen.len(), about.reason.as_str()), (2, "spam under two names"));
    assert_eq!(bob.openings().await.unwrap().len(), 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_openings_a_pseudonym_is_drawn_the_same_way() {
    let scene = Scene::start("detached-act", "way = \"act-only\"\nkey = \"act.key\"\n", None).await;
    let mut alice = scene.register("alice.wonder").await;
    let mut one = scene.detach(&mut alice, "one").await.unwrap();
    alone::prepare(&mut one).await.unwrap();
    assert_eq!(alice.openings().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pseudonyms_are_the_accounts_own_none_is_drawn_apart() {
    let mut scene = Scene::start("detached-direct", "way = \"direct\"\n", None).await;
    let mut alice = scene.register("alice.wonder").await;
    let refused = scene.detach(&mut alice, "one").await;
    assert!(is_refused(&refused, &Problem::Forbidden), "{refused:?}");
    // What was begun is finished when the operator has thought better of it.
    let config = scene.world.fixture().site(DOMAIN).unwrap().config();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("way = \"direct\"", "way = \"act-only\"\nkey = \"act.key\"")).unwrap();
    scene.restart().await;
    scene.detach(&mut alice, "one").await.unwrap();
}
