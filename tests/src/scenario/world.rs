use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use mimi_wire::{
    AppDataDictionary, Directory, Endpoint, IdentifierQueryCode, IdentifierRequest, IdentifierResponse, MEDIA_TYPE,
    QueryElement, SearchField, Wire, directory::DIRECTORY_PATH,
};

use crate::{
    fixture::{Fixture, Keep, Site},
    process::{ProviderProcess, Usage},
};

/// Providers that run. Their processes and, if it is not kept, their folder are gone when it is dropped.
#[derive(Debug)]
pub struct World {
    // In this order: processes end before their files go.
    processes: Vec<ProviderProcess>,
    fixture: Fixture,
    begun: Instant,
    /// Seconds of processor time of the process of clients and scenario when the story began.
    clients_before: f64,
    ready_ms: u64,
}

/// The domains of two providers: Alice's and Bob's.
pub const TWO: [&str; 2] = ["a.example", "b.example"];
/// The domains of three providers: Alice's, Bob's and Cathy's.
pub const THREE: [&str; 3] = ["a.example", "b.example", "c.example"];
/// How often other ports are tried.
const ATTEMPTS: usize = 5;

impl World {
    /// Starts providers and checks that each answers the others.
    ///
    /// # Errors
    /// If they do not start, or do not answer as they should.
    pub async fn start(scenario: &str, domains: &[&str], keep: Keep) -> Result<Self> {
        Self::of(Fixture::create(scenario, domains, keep)?).await
    }

    /// As [`World::start`], with files that are there already.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn of(mut fixture: Fixture) -> Result<Self> {
        let processes = start_all(&mut fixture).await?;
        let mut world = Self { processes, fixture, begun: Instant::now(), clients_before: 0.0, ready_ms: 0 };
        let sites = world.fixture.sites();
        ensure!(sites.len() > 1, "two providers are needed");
        let pairs = sites.iter().flat_map(|asked| sites.iter().map(move |asking| (asked, asking)));
        for (asked, asking) in pairs.filter(|(asked, asking)| asked.domain() != asking.domain()) {
            let context = || format!("{} does not answer {}", asked.domain(), asking.domain());
            answers(&world.fixture, asked, asking).await.with_context(context)?;
        }
        // The next millisecond is the first one of the story: nothing of the above ends in it.
        tokio::time::sleep(Duration::from_millis(2)).await;
        world.ready_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        world.begun = Instant::now();
        world.clients_before = Usage::of_process(std::process::id()).cpu_seconds;
        Ok(world)
    }

    /// The files.
    pub fn fixture(&self) -> &Fixture {
        &self.fixture
    }

    /// The domains: Alice's provider, Bob's provider, and perhaps Cathy's.
    pub fn domains(&self) -> Vec<String> {
        self.fixture.sites().iter().map(|site| site.domain().to_string()).collect()
    }

    /// Files and processes, to be used on their own.
    pub fn into_parts(self) -> (Fixture, Vec<ProviderProcess>) {
        (self.fixture, self.processes)
    }

    /// A provider's process, to kill it and start it again.
    ///
    /// # Errors
    /// If there is none for this domain.
    pub fn process(&mut self, domain: &str) -> Result<&mut ProviderProcess> {
        let found = self.processes.iter_mut().find(|process| process.domain() == domain);
        found.ok_or_else(|| anyhow!("no provider {domain}"))
    }

    /// Starts a provider again with more in its configuration.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn configure(&mut self, domain: &str, more: &str) -> Result<()> {
        let config = self.fixture.site(domain)?.config();
        let before = std::fs::read_to_string(&config)?;
        std::fs::write(&config, format!("{before}\n{more}\n"))?;
        let process = self.process(domain)?;
        process.stop().await?;
        process.restart(0).await.map(drop)
    }

    /// Starts all providers again with their clocks ahead by so many seconds.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn move_clocks(&mut self, offset: i64) -> Result<()> {
        for process in &mut self.processes {
            process.stop().await?;
            process.restart(offset).await?;
        }
        Ok(())
    }

    /// Starts all providers again that were asked to end, with their clocks ahead by so many seconds: at first those that are
    /// chosen, all at once, and then the others.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn start_again(&mut self, offset: i64, first: impl Fn(&str) -> bool) -> Result<()> {
        for chosen in [true, false] {
            let processes = self.processes.iter_mut().filter(|process| first(process.domain()) == chosen);
            futures_util::future::try_join_all(processes.map(|process| process.restart(offset))).await?;
        }
        Ok(())
    }

    /// Asks all to end.
    ///
    /// # Errors
    /// If one does not, or not well.
    pub async fn stop(&mut self) -> Result<()> {
        futures_util::future::try_join_all(self.processes.iter_mut().map(ProviderProcess::stop)).await.map(drop)
    }

    /// When all were found ready: milliseconds since 1970 by the machine's clock.
    pub fn ready_ms(&self) -> u64 {
        self.ready_ms
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What each process used: the providers since they started, the one of the clients since the providers were ready.
    pub fn usage(&self) -> Vec<(String, Usage)> {
        let clients = Usage::of_process(std::process::id());
        let clients = Usage { cpu_seconds: clients.cpu_seconds - self.clients_before, ..clients };
        let providers = self.processes.iter().map(|process| (process.domain().to_owned(), process.usage()));
        providers.chain([("clients".to_owned(), clients)]).collect()
    }
}

/// Starts all; with other ports if one was taken meanwhile.
async fn start_all(fixture: &mut Fixture) -> Result<Vec<ProviderProcess>> {
    let mut attempt = 1;
    loop {
        match start_each(fixture).await {
            Err(error) if attempt < ATTEMPTS && error.to_string().contains("in use") => fixture.choose_ports()?,
            started => return started,
        }
        attempt += 1;
    }
}

async fn start_each(fixture: &Fixture) -> Result<Vec<ProviderProcess>> {
    let mut processes = Vec::new();
    for site in fixture.sites() {
        processes.push(ProviderProcess::start(fixture.launch(site.domain().as_str())?, 0).await?);
    }
    Ok(processes)
}

/// Checks that a provider has a directory, and an endpoint for other providers that opens to the certificate of one and
/// not to none.
async fn answers(fixture: &Fixture, asked: &Site, asking: &Site) -> Result<()> {
    let peer = fixture.peer(asking.domain().as_str())?;
    let document = peer.get(asked.url(DIRECTORY_PATH)).send().await?.error_for_status()?.bytes().await?;
    let directory = Directory::from_json(&document)?;
    let url = directory.expand(Endpoint::IdentifierQuery, asked.domain().as_str());
    let url = url.ok_or_else(|| anyhow!("it has no endpoint for queries"))?;
    ensure!(url.starts_with(&asked.url("/")), "its endpoint is elsewhere: {url}");
    let elements = vec![QueryElement { field: SearchField::Handle, value: "im:nobody@nowhere.example".into() }];
    let query = IdentifierRequest { elements, extensions: AppDataDictionary::default() }.encode();
    let ask = |client: &reqwest::Client| {
        let request = client.post(&url).header("from", format!("mimi@{}", asking.domain()));
        request.header("content-type", MEDIA_TYPE).body(query.clone()).send()
    };
    let answer = ask(&peer).await?.error_for_status()?.bytes().await?;
    let code = IdentifierResponse::decode(&answer)?.code;
    ensure!(code == IdentifierQueryCode::NotFound, "a query for nobody gives {code:?}");
    let refused = ask(&fixture.anonymous()?).await?.status();
    ensure!(refused.is_client_error(), "a query without a certificate gives {refused}");
    Ok(())
}
