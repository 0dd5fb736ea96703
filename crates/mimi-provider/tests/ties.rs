//! Ties between pseudonyms and accounts over the wire: quotas, tokens, pseudonyms with devices of their own; and what all
//! that leaves in the database.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use http::Method;
use mimi_abuse::remedy::{HomeRemedy, RemedyRequest, Wanted};
use mimi_provider::{OsEntropy, operate};
use mimi_pseudonym::{DisclosureFormat, Entropy, Signer, SigningKey, Timestamp, UserUri, Wire};
use mimi_tie::{
    ActKey, TieRow,
    blind::{Issuer, IssuerKey, PendingToken, Token, TokenChallenge, TokenRequest, TokenResponse},
    break_glass::{Entry, Log, OwnerMark, Witness, open},
    operators::{Committing, Operator, Purpose, Threshold},
    score::CohortSize,
};
use mimi_wire::{
    Problem,
    local::{self, *},
};
use support::{
    SUITE, Shown, World, domain,
    remedy::{key_of_b, tbs},
};

impl World {
    async fn start_tied(name: &str, ties: &str) -> Self {
        let mut world = Self::start(name).await;
        let path = world.folder.join("a.example/provider.toml");
        // At the front of the tables, so that it is one of its own.
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{config}\n[ties]\n{ties}\n")).unwrap();
        world.restart().await;
        // Numbers that stand for nothing else, so that they are recognised wherever they stand.
        let numbers = "UPDATE numbers SET newest = CASE kind WHEN 'account' THEN 7000000 ELSE 9000000 END \
                       WHERE kind IN ('account', 'device')";
        world.db().execute(numbers, []).unwrap();
        world
    }

    async fn draw(&self, token: &DeviceToken, count: u16) -> Result<PseudonymsResponse, Problem> {
        self.post(device(token), local::PSEUDONYMS_PATH, &PseudonymsRequest { count }).await
    }

    async fn redeem(&self, key: Option<&str>, token: &Token) -> Result<RegisterResponse, Problem> {
        let request = RedeemRequest { token: token.encode(), device_name: "telephone".into() };
        self.post(Shown { key, ..Shown::default() }, local::REDEEM_PATH, &request).await
    }

    async fn detach(&self, token: &DeviceToken, key: Option<&str>) -> Result<DetachResponse, Problem> {
        let request = DetachRequest { device_name: "telephone".into() };
        self.post(Shown { token: Some(token), key, ..Shown::default() }, local::DETACH_PATH, &request).await
    }

    async fn issuer_key(&self) -> IssuerKey {
        let (status, body) = self.send(Shown::default(), Method::GET, local::TOKEN_KEY_PATH, vec![]).await;
        assert_eq!(status, 200);
        IssuerKey::from_octets(&TokenKey::decode(&body).unwrap().key.try_into().unwrap()).unwrap()
    }

    async fn tokens(&self, token: &DeviceToken, count: usize) -> Result<Vec<Token>, Problem> {
        let (request, pending) = ask(&self.issuer_key().await, count);
        let response: TokensResponse = self.post(device(token), local::TOKENS_PATH, &request).await?;
        Ok(finish(pending, &response))
    }

    /// Rows of the database in which all of these stand. Three letters stand among random octets now and then, "bob" once in
    /// a hundred runs: names are longer here.
    fn rows_with(&self, texts: &[&str]) -> Vec<String> {
        assert!(texts.iter().all(|text| text.len() >= 5));
        // Octets are dumped as lists of numbers.
        let numbers = |text: &str| text.bytes().map(|octet| octet.to_string()).collect::<Vec<_>>().join(", ");
        let stands = |row: &String, text: &&str| row.contains(*text) || row.contains(&numbers(text));
        self.dump().into_iter().filter(|row| texts.iter().all(|text| stands(row, text))).collect()
    }

    /// The number of an account in the database.
    fn account(&self, user: &UserUri) -> i64 {
        self.db().query_row("SELECT id FROM accounts WHERE user_uri = ?1", [user.as_str()], |row| row.get(0)).unwrap()
    }

    fn db(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.join("a.example/data/provider.sqlite")).unwrap()
    }

    /// Nothing in the database stands beside both: neither their names, nor the pseudonym beside the number of the account
    /// or of its device, nor the other way round.
    fn assert_untied(&self, account: &UserUri, pseudonym: &UserUri) {
        assert_eq!(self.rows_with(&[account.as_str(), pseudonym.as_str()]), [""; 0]);
        assert_eq!(self.rows_with(&[account.name(), pseudonym.name()]), [""; 0]);
        let numbers = [account, pseudonym].map(|user| {
            let account = self.account(user);
            let query = "SELECT id FROM devices WHERE account = ?1";
            let device: i64 = self.db().query_row(query, [account], |row| row.get(0)).unwrap();
            assert!(account > 7_000_000 && device > 9_000_000);
            [format!("Integer({account})"), format!("Integer({device})")]
        });
        for number in &numbers[0] {
            assert_eq!(self.rows_with(&[pseudonym.as_str(), number]), [""; 0]);
            for other in &numbers[1] {
                assert_eq!(self.rows_with(&[number, other]), [""; 0]);
            }
        }
        for number in &numbers[1] {
            assert_eq!(self.rows_with(&[account.as_str(), number]), [""; 0]);
        }
        assert!(!self.rows_with(&[pseudonym.as_str()]).is_empty());
    }

    /// Nothing in the database names both.
    fn assert_untied_names(&self, account: &UserUri, pseudonym: &UserUri) {
        assert_eq!(self.rows_with(&[account.name(), pseudonym.name()]), [""; 0]);
        assert!(!self.rows_with(&[pseudonym.as_str()]).is_empty());
    }

    fn tie(&self, found_by: &[u8]) -> TieRow {
        let row: Vec<u8> =
            self.db().query_row("SELECT tie FROM tie_rows WHERE found_by = ?1", [found_by], |row| row.get(0)).unwrap();
        TieRow::decode(&row).unwrap()
    }

    /// The octets of a file that holds hexadecimal digits.
    fn key_file(&self, name: &str) -> Vec<u8> {
        let text = std::fs::read_to_string(self.folder.join("a.example").join(name)).unwrap();
        let text = text.trim();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}

fn device(token: &DeviceToken) -> Shown<'_> {
    Shown { token: Some(token), ..Shown::default() }
}

fn challenge() -> TokenChallenge {
    TokenChallenge::for_pseudonyms(&domain("a.example"))
}

fn ask(key: &IssuerKey, count: usize) -> (TokensRequest, Vec<PendingToken>) {
    let one = |_| TokenRequest::new(key, &challenge(), &mut OsEntropy).unwrap();
    let (requests, pending): (Vec<_>, Vec<_>) = (0..count).map(one).unzip();
    (TokensRequest { requests: requests.iter().map(Wire::encode).collect() }, pending)
}

fn finish(pending: Vec<PendingToken>, response: &TokensResponse) -> Vec<Token> {
    let responses = response.responses.iter().map(|one| TokenResponse::decode(one).unwrap());
    pending.into_iter().zip(responses).map(|(pending, response)| pending.finish(&response).unwrap()).collect()
}

/// A key of one operator, and the file for the provider.
fn operator(purpose: Purpose) -> Operator {
    let threshold = Threshold::new(1, 1).unwrap();
    let index = threshold.index(0).unwrap();
    let committing = Committing::new(threshold, purpose, index, &mut OsEntropy).unwrap();
    committing.hear(&[]).unwrap().hear(&[]).unwrap().hear(&[]).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A provider with the key of an operator.
async fn start_with_operator(name: &str, ties: &str) -> (World, Operator) {
    let purpose = if ties.contains("score") { Purpose::Scores } else { Purpose::Opening };
    let operator = operator(purpose);
    let file = std::env::temp_dir().join(format!("mimi-provider-{}-{name}.key", std::process::id()));
    std::fs::write(&file, hex(&operator.key().encode())).unwrap();
    let world = World::start_tied(name, &format!("{ties}\nkey = \"{}\"", file.display())).await;
    std::fs::remove_file(&file).unwrap();
    (world, operator)
}

const SECRET: &str = "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"";

#[tokio::test(flavor = "multi_thread")]
async fn over_quota_nothing_is_drawn() {
    let mut world = World::start_tied("quota", "pseudonyms = 5").await;
    let (alice, bob) = (world.register("alice").await, world.register("bob-of-a").await);
    assert_eq!(world.draw(&alice.device_token, 3).await.unwrap().pseudonyms.len(), 3);
    assert_eq!(world.draw(&alice.device_token, 3).await, Err(Problem::OverQuota));
    assert_eq!(world.draw(&alice.device_token, 6).await, Err(Problem::OverQuota));
    world.restart().await;
    assert_eq!(world.draw(&alice.device_token, 2).await.unwrap().pseudonyms.len(), 2);
    assert_eq!(world.draw(&alice.device_token, 1).await, Err(Problem::OverQuota));
    assert_eq!(world.draw(&bob.device_token, 5).await.unwrap().pseudonyms.len(), 5, "of one's own");
    let drawn: i64 = world.db().query_row("SELECT count(*) FROM pseudonyms", [], |row| row.get(0)).unwrap();
    assert_eq!(drawn, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_50_requests_at_once_one_gets_the_last_pseudonym() {
    let world = World::start_tied("quota-race", "pseudonyms = 3").await;
    let alice = world.register("alice").await;
    world.draw(&alice.device_token, 2).await.unwrap();
    let all = futures_util::future::join_all((0..50).map(|_| world.draw(&alice.device_token, 1))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(all.iter().filter(|one| **one == Err(Problem::OverQuota)).count(), 49);
    assert_eq!(world.rows_with(&["tie_quota: "]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_tie_stands_in_one_table() {
    let world = World::start_tied("direct", "way = \"direct\"").await;
    let alice = world.register("alice").await;
    let drawn = world.draw(&alice.device_token, 1).await.unwrap().pseudonyms;
    let number = format!("Integer({})", world.account(&alice.user));
    let beside = world.rows_with(&[drawn[0].as_str()]);
    let tied: Vec<_> = beside.iter().filter(|row| row.contains(&number)).collect();
    assert!(tied.len() == 1 && tied[0].starts_with("pseudonyms: "), "{beside:?}");
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::Forbidden));
    assert_eq!(world.tokens_refused(&alice.device_token).await, Problem::Forbidden);
}

impl World {
    /// Asks for a token with some other key.
    async fn tokens_refused(&self, token: &DeviceToken) -> Problem {
        let other = Issuer::generate(&mut OsEntropy).unwrap();
        let (request, _) = ask(other.key(), 1);
        self.post::<TokensResponse>(device(token), local::TOKENS_PATH, &request).await.unwrap_err()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonym_for_a_token_is_tied_to_nobody() {
    let mut world = World::start_tied("blind", "way = \"blind\"\nkey = \"tokens.key\"\npseudonyms = 3").await;
    let alice = world.register("alice").await;
    let tokens = world.tokens(&alice.device_token, 2).await.unwrap();
    let before = world.dump();
    let pseudonym = world.redeem(None, &tokens[0]).await.unwrap();
    assert!(pseudonym.user.is_pseudonym());
    world.assert_untied(&alice.user, &pseudonym.user);
    // Nothing of what was written at the second moment stood in the database after the first.
    let nonce = hex(&tokens[0].encode()[2..34]);
    assert!(!before.iter().any(|row| row.contains(&nonce)));
    // The pseudonym's device gets its certificate, and draws nothing.
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let tbs = CredentialItemTbs {
        subject: pseudonym.user.clone(),
        cipher_suite: SUITE,
        public_key: key.public_key().clone(),
        disclose: vec![],
        format: DisclosureFormat::X509,
    };
    let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
    let shown = device(&pseudonym.device_token);
    let issued: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &request).await.unwrap();
    assert_eq!(issued.items.len(), 1);
    let others = device(&alice.device_token);
    assert!(world.post::<CredentialsResponse>(others, local::CREDENTIALS_PATH, &request).await.is_err());
    assert_eq!(world.tokens(&pseudonym.device_token, 1).await, Err(Problem::Forbidden));
    assert_eq!(world.draw(&alice.device_token, 1).await, Err(Problem::Forbidden));
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::Forbidden));
    // The quota counts tokens; the key is the same after a restart.
    assert_eq!(world.tokens(&alice.device_token, 2).await, Err(Problem::OverQuota));
    world.restart().await;
    assert!(world.redeem(None, &tokens[1]).await.is_ok());
    assert_eq!(world.tokens(&alice.device_token, 1).await.unwrap().len(), 1);
    assert_eq!(world.key_file("tokens.key").len(), 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_spent_once() {
    let mut world = World::start_tied("spent", "way = \"blind\"\nkey = \"tokens.key\"").await;
    let alice = world.register("alice").await;
    let tokens = world.tokens(&alice.device_token, 3).await.unwrap();
    let first = world.redeem(Some(SECRET), &tokens[0]).await.unwrap();
    // The same request again has the same answer; another one with the same token has none.
    assert_eq!(world.redeem(Some(SECRET), &tokens[0]).await.unwrap(), first);
    assert_eq!(world.redeem(None, &tokens[0]).await, Err(Problem::Forbidden));
    let all = futures_util::future::join_all((0..50).map(|_| world.redeem(None, &tokens[1]))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(all.iter().filter(|one| **one == Err(Problem::Forbidden)).count(), 49);
    world.restart().await;
    assert_eq!(world.redeem(None, &tokens[0]).await, Err(Problem::Forbidden));
    assert_eq!(world.redeem(None, &tokens[1]).await, Err(Problem::Forbidden));
    assert!(world.redeem(None, &tokens[2]).await.is_ok());
    let pseudonyms: i64 = world.db().query_row("SELECT count(*) FROM pseudonyms", [], |row| row.get(0)).unwrap();
    assert_eq!(pseudonyms, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_and_requests_are_refused() {
    let world = World::start_tied("forged", "way = \"blind\"\nkey = \"tokens.key\"\npseudonyms = 4").await;
    let alice = world.register("alice").await;
    let token = world.tokens(&alice.device_token, 1).await.unwrap().remove(0);
    for at in [5, 50, 80, 120] {
        let mut octets = token.encode();
        octets[at] ^= 1;
        let forged = Token::decode(&octets).unwrap();
        assert_eq!(world.redeem(None, &forged).await, Err(Problem::Forbidden), "octet {at}");
    }
    let elsewhere = TokenChallenge::for_pseudonyms(&domain("b.example"));
    let (request, pending) = TokenRequest::new(&world.issuer_key().await, &elsewhere, &mut OsEntropy).unwrap();
    let request = TokensRequest { requests: vec![request.encode()] };
    let shown = device(&alice.device_token);
    let response: TokensResponse = world.post(shown, local::TOKENS_PATH, &request).await.unwrap();
    let other = finish(vec![pending], &response).remove(0);
    assert_eq!(world.redeem(None, &other).await, Err(Problem::Forbidden));
    assert_eq!(world.tokens_refused(&alice.device_token).await, Problem::Malformed);
    // The same request is counted once: one of four was drawn before, and one just now.
    let again: TokensResponse = world.post(shown, local::TOKENS_PATH, &request).await.unwrap();
    assert_eq!(again.responses[0][..49], response.responses[0][..49]);
    assert!(world.tokens(&alice.device_token, 2).await.is_ok());
    assert_eq!(world.tokens(&alice.device_token, 1).await, Err(Problem::OverQuota));
    assert!(world.post::<TokensResponse>(Shown::default(), local::TOKENS_PATH, &request).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_at_registration_is_opened_from_the_database() {
    let (world, operator) = start_with_operator("glass", "way = \"break-glass\"\npseudonyms = 2").await;
    let alice = world.register("alice").await;
    let detached = world.detach(&alice.device_token, Some(SECRET)).await.unwrap();
    let pseudonym = &detached.registered.user;
    assert_eq!(world.detach(&alice.device_token, Some(SECRET)).await.unwrap(), detached, "the same once more");
    world.assert_untied(&alice.user, pseudonym);
    let TieRow::BreakGlass(sealed) = world.tie(pseudonym.as_str().as_bytes()) else { panic!("another way") };
    let seal = sealed.check(pseudonym, operator.key()).unwrap();
    let mark = OwnerMark::restore(detached.mark.clone().try_into().unwrap(), pseudonym.clone());
    let now = Timestamp::from_secs(1_800_000_000);
    let mut log = Log::default();
    let at = log.append(Entry::new(seal.owner_mark().subject(), "abuse desk", "threat", now).unwrap());
    let logged = Witness::NEW.clone().check(&log.evidence(at, 0).unwrap(), now).unwrap();
    let share = operator.grant(&seal, &logged, &mut OsEntropy).unwrap();
    assert_eq!(*open(&seal, &[share]).unwrap().account(), alice.user);
    assert_eq!(mark.openings(log.entries()).len(), 1);
    // The quota holds, and a pseudonym is no way around it.
    assert!(world.detach(&alice.device_token, None).await.is_ok());
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::OverQuota));
    assert_eq!(world.detach(&detached.registered.device_token, None).await, Err(Problem::Forbidden));
    assert_eq!(world.draw(&alice.device_token, 1).await, Err(Problem::Forbidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_acted_on_from_the_database_and_the_key() {
    let world = World::start_tied("act", "way = \"act-only\"\nkey = \"act.key\"").await;
    let alice = world.register("alice").await;
    let detached = world.detach(&alice.device_token, None).await.unwrap();
    let pseudonym = &detached.registered.user;
    assert!(detached.mark.is_empty());
    world.assert_untied(&alice.user, pseudonym);
    let secret = world.key_file("act.key");
    assert_eq!(world.rows_with(&["tie_rows: ", pseudonym.name()]), [""; 0], "found by a tag alone");
    let key = ActKey::from_secret(&secret.try_into().unwrap());
    let TieRow::ActOnly(row) = world.tie(&key.tag(pseudonym)) else { panic!("another way") };
    let mut acted = Vec::new();
    let remedy = |account: &UserUri| {
        acted.push(account.clone());
        Ok(())
    };
    key.act(pseudonym, Some(&row), remedy).unwrap();
    assert_eq!(acted, [alice.user]);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_those_of_the_accounts_seat() {
    let (world, operator) = start_with_operator("score", "way = \"score\"\ncohort = 2").await;
    let mut cohorts = Vec::new();
    for name in ["alice", "bob-of-a", "cathy"] {
        let user = world.register(name).await;
        for _ in 0..2 {
            let detached = world.detach(&user.device_token, None).await.unwrap();
            world.assert_untied(&user.user, &detached.registered.user);
            let found_by = detached.registered.user.as_str().as_bytes();
            let TieRow::Score(seat) = world.tie(found_by) else { panic!("another way") };
            cohorts.push(seat.check(CohortSize::new(2).unwrap(), operator.key()).unwrap().cohort());
        }
    }
    assert_eq!(cohorts, [0, 0, 0, 0, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_named() {
    let world = World::start("bad-key").await;
    let folder = world.folder.join("a.example");
    std::fs::write(folder.join("bad.key"), "0102").unwrap();
    // On files of its own: the provider that runs has the others.
    let config = std::fs::read_to_string(folder.join("provider.toml")).unwrap().replace("\"data\"", "\"data-bad\"");
    for way in ["act-only", "blind", "break-glass", "score"] {
        let text = format!("{config}\n[ties]\nway = \"{way}\"\nkey = \"bad.key\"\n");
        let config = mimi_provider::Config::parse(&text, &folder).unwrap();
        let refused = mimi_provider::Provider::start(config, mimi_provider::Options::default().quiet()).await;
        let refused = refused.map(|_| ()).unwrap_err().to_string();
        assert!(refused.ends_with("bad.key: not the key that this way of tying needs"), "{refused}");
    }
    let text = format!("{config}\n[ties]\nway = \"blind\"\n");
    let refused = mimi_provider::Config::parse(&text, &folder).unwrap_err().to_string();
    assert_eq!(refused, "line 31, way: this way needs a key");
}

/// As b.example, asks a.example for a remedy, with evidence; the octets of the answer that are not the request's own.
async fn ask_for(world: &World, key: &SigningKey, about: &UserUri, wanted: Wanted) -> Vec<u8> {
    let tbs = tbs(world, about, wanted);
    let id = tbs.id;
    let request = RemedyRequest::sign(tbs, SUITE, key).unwrap();
    let path = "/mimi/v1/requestRemedy/a.example";
    let (status, body) = world.send(world.peer_b(), Method::POST, path, request.encode()).await;
    assert_eq!((status, &body[1..]), (200, &id[..]));
    body[..1].to_vec()
}

/// A day later, when it has been decided.
async fn decided(world: &mut World) {
    world.offset += 25 * 3600;
    world.restart().await;
    let waits = |row: &String| row.starts_with("remedy_requests:") && row.contains("Integer(0), Blob");
    world.wait_for(|rows| !rows.iter().any(waits)).await;
}

fn silenced(world: &World) -> Vec<String> {
    let db = world.db();
    let mut rows = db.prepare("SELECT subject FROM silenced_users ORDER BY subject").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_behind_a_pseudonym_is_acted_on_and_nobody_is_told_who_it_is() {
    let mut world = World::start_tied("acting", "way = \"act-only\"\nkey = \"act.key\"").await;
    // Begin a minute after a moment at which is decided.
    world.offset = 86_460 - i64::try_from(world.now.as_secs() % 86_400).unwrap();
    world.restart().await;
    let b = world.run_b().await;
    let key = key_of_b(&world);
    let mut people = Vec::new();
    for name in ["alice", "bob-of-a", "cathy"] {
        let account = world.register(name).await;
        let mut pseudonyms = Vec::new();
        for _ in 0..3 {
            pseudonyms.push(world.detach(&account.device_token, None).await.unwrap().registered);
        }
        people.push((account, pseudonyms));
    }
    // Two pseudonyms of Alice's and two of Bob's are complained about, each once: what adds up is the account's.
    let nobody = UserUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let version = ask_for(&world, &key, &nobody, Wanted::Remove).await;
    for (_, pseudonyms) in &people[..2] {
        for pseudonym in &pseudonyms[..2] {
            assert_eq!(ask_for(&world, &key, &pseudonym.user, Wanted::Remove).await, version, "as for nobody");
        }
    }
    decided(&mut world).await;
    let mut wanted: Vec<String> = Vec::new();
    for (account, pseudonyms) in &people[..2] {
        wanted.push(account.user.to_string());
        wanted.extend(pseudonyms.iter().map(|one| one.user.to_string()));
        assert_eq!(world.detach(&account.device_token, None).await, Err(Problem::Forbidden));
    }
    wanted.sort();
    assert_eq!(silenced(&world), wanted, "under all their pseudonyms, those too that nobody has complained about");
    assert!(world.detach(&people[2].0.device_token, None).await.is_ok());
    // What is stored does not say whose they are: no row has both, and all that was decided is dated and explained alike.
    for (account, pseudonyms) in &people {
        for pseudonym in pseudonyms {
            world.assert_untied(&account.user, &pseudonym.user);
        }
    }
    let remedies: std::collections::BTreeSet<(String, String, i64)> = {
        let db = world.db();
        let mut rows = db.prepare("SELECT remedy, explanation, decided_at FROM account_decisions").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(remedies.len(), 1, "{remedies:?}");
    // Bob appeals as his account, and is heard: all his pseudonyms speak again. Alice's do not.
    let appeal = AppealRequest { text: "no".into() };
    let standing: Standing = world.post(device(&people[1].0.device_token), local::APPEAL_PATH, &appeal).await.unwrap();
    assert_eq!((standing.remedy, standing.appeal), (StandingRemedy::Removed, AppealState::Open));
    operator_of(&world).answer_appeal("bob-of-a", true).unwrap();
    wanted.retain(|name| *name == people[0].0.user.to_string() || people[0].1.iter().any(|p| p.user.as_str() == name));
    assert_eq!(silenced(&world), wanted);
    // The hub takes back what it has asked for about one of Alice's.
    for pseudonym in &people[0].1[..2] {
        ask_for(&world, &key, &pseudonym.user, Wanted::Reversal).await;
    }
    decided(&mut world).await;
    assert!(silenced(&world).is_empty());
    assert!(world.detach(&people[0].0.device_token, None).await.is_ok());
    b.end().await;
}

fn operator_of(world: &World) -> operate::Operator {
    let config = mimi_provider::Config::load(&world.folder.join("a.example/provider.toml")).unwrap();
    operate::Operator::open(config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_token_there_is_no_account_to_act_on() {
    let mut world = World::start_tied("blindly", "way = \"blind\"\nkey = \"tokens.key\"").await;
    world.offset = 86_460 - i64::try_from(world.now.as_secs() % 86_400).unwrap();
    world.restart().await;
    let b = world.run_b().await;
    let key = key_of_b(&world);
    let alice = world.register("alice").await;
    let tokens = world.tokens(&alice.device_token, 2).await.unwrap();
    let mut pseudonyms = Vec::new();
    for token in &tokens {
        pseudonyms.push(world.redeem(None, token).await.unwrap());
    }
    let nobody = UserUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let version = ask_for(&world, &key, &nobody, Wanted::Delete).await;
    for _ in 0..2 {
        assert_eq!(ask_for(&world, &key, &pseudonyms[0].user, Wanted::Delete).await, version);
    }
    decided(&mut world).await;
    assert_eq!(silenced(&world), [pseudonyms[0].user.to_string()], "that pseudonym, and nothing else");
    assert!(world.tokens(&alice.device_token, 1).await.is_ok());
    // Whoever has the pseudonym's device sees it, and may appeal.
    let appeal = AppealRequest { text: "no".into() };
    let shown = device(&pseudonyms[0].device_token);
    let standing: Standing = world.post(shown, local::APPEAL_PATH, &appeal).await.unwrap();
    assert_eq!((standing.remedy, standing.appeal), (StandingRemedy::Removed, AppealState::Open));
    operator_of(&world).answer_appeal(pseudonyms[0].user.name(), true).unwrap();
    assert!(silenced(&world).is_empty());
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_open_an_account_together_and_its_owner_sees_it() {
    let mut world = World::start("opening").await;
    let folder = world.folder.join("a.example");
    operate::deal_key(false, 2, 3, &folder).unwrap();
    world.configure("[ties]\nway = \"break-glass\"\nkey = \"operators.key\"\n").await;
    let alice = world.register("alice").await;
    let detached = world.detach(&alice.device_token, None).await.unwrap();
    let other = world.detach(&alice.device_token, None).await.unwrap();
    let (pseudonym, operator) = (&detached.registered.user, operator_of(&world));
    let now = world.present();
    let at = |name: &str| folder.join(name);
    let fault = |result: Result<(), operate::OperateError>| result.unwrap_err().to_string();
    let share = |number: u8, request: &str, share: &str, now| {
        let [operator, witness] = ["share", "seen"].map(|what| at(&format!("operator-{number}.{what}")));
        operate::give_share(&operator, &witness, &at(request), &at(share), now)
    };
    // Without an entry there is nothing to give shares for.
    assert_eq!(fault(operator.ask_for_share(pseudonym, 0, 0, &at("none"))), "no entry at this position");
    assert_eq!(operator.log_opening(pseudonym, "abuse desk", "threats in a room", now).unwrap(), 0);
    assert_eq!(operator.log_opening(&other.registered.user, "abuse desk", "another matter", now).unwrap(), 1);
    assert!(operator.log_opening(pseudonym, "abuse desk", " ", now).is_err(), "without a reason");
    // Another's entry, or another's sealed account, opens nothing.
    operator.ask_for_share(pseudonym, 1, 0, &at("anothers")).unwrap();
    assert_eq!(fault(share(0, "anothers", "s", now)), "the entry is about another pseudonym");
    operator.ask_for_share(pseudonym, 0, 0, &at("long-ago")).unwrap();
    let late = now.after(std::time::Duration::from_secs(8 * 86_400));
    assert_eq!(fault(share(1, "long-ago", "s", late)), "the entry is not of today's date");
    assert!(!at("s").exists());
    // One share is too few, two are enough. Each operator has seen the log up to where it was asked before.
    operator.ask_for_share(pseudonym, 0, 2, &at("request-0")).unwrap();
    operator.ask_for_share(pseudonym, 0, 0, &at("request-1")).unwrap();
    share(0, "request-0", "share-0", now).unwrap();
    share(1, "request-1", "share-1", now).unwrap();
    let open = |shares: &[&str]| {
        let shares: Vec<_> = shares.iter().map(|name| at(name)).collect();
        let shares: Vec<_> = shares.iter().map(std::path::PathBuf::as_path).collect();
        operator.open_account_behind(pseudonym, &shares)
    };
    assert_eq!(open(&["share-0"]).unwrap_err().to_string(), "1 shares, 2 are needed");
    assert_eq!(open(&["share-0", "share-0"]).unwrap_err().to_string(), "two shares of operator 0");
    assert_eq!(open(&["share-0", "share-1"]).unwrap(), alice.user);
    // A log from which an entry is gone is noticed by whoever has seen it.
    world.db().execute("DELETE FROM tie_openings WHERE position = 1", []).unwrap();
    operator.ask_for_share(pseudonym, 0, 0, &at("truncated")).unwrap();
    assert_eq!(fault(share(0, "truncated", "s", now)), "the log has become shorter");
    let forked = Entry::new(OwnerMark::restore([1; 16], alice.user.clone()).subject(), "desk", "other", now).unwrap();
    for position in [1, 2] {
        let insert = "INSERT INTO tie_openings (position, entry) VALUES (?1, ?2)";
        world.db().execute(insert, rusqlite::params![position, forked.encode()]).unwrap();
    }
    operator.ask_for_share(pseudonym, 0, 2, &at("forked")).unwrap();
    assert_eq!(fault(share(0, "forked", "s", now)), "the log is not the one seen before");

    // Whoever has the mark recognises the opening, and nobody else does: the log names no pseudonym. It survives a restart.
    world.restart().await;
    let (status, body) = world.send(Shown::default(), Method::GET, local::OPENINGS_PATH, vec![]).await;
    let shown = OpeningsResponse::decode(&body).unwrap();
    assert_eq!((status, shown.size, shown.entries.len()), (200, 3, 3));
    let entries: Vec<_> = shown.entries.iter().map(|entry| Entry::decode(entry).unwrap()).collect();
    let mark = |detached: &DetachResponse| {
        OwnerMark::restore(detached.mark.clone().try_into().unwrap(), detached.registered.user.clone())
    };
    assert_eq!(mark(&detached).openings(&entries).len(), 1);
    let path = format!("{}?after=2", local::OPENINGS_PATH);
    let (_, body) = world.send(Shown::default(), Method::GET, &path, vec![]).await;
    assert_eq!(OpeningsResponse::decode(&body).unwrap().entries.len(), 1);
    for pseudonym in [&detached.registered.user, &other.registered.user] {
        world.assert_untied_names(&alice.user, pseudonym);
        let named = |row: &String| row.starts_with("tie_openings:") && row.contains(pseudonym.name());
        assert!(!world.dump().iter().any(named));
    }
    // What is done then is done by name.
    operator_of(&world).set_remedy("alice", Some(HomeRemedy::Suspend), now).unwrap();
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::Forbidden));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_add_up_at_an_account_and_operators_say_whether_it_is_enough() {
    let mut world = World::start("scores").await;
    let folder = world.folder.join("a.example");
    operate::deal_key(true, 2, 3, &folder).unwrap();
    world.offset = 86_460 - i64::try_from(world.now.as_secs() % 86_400).unwrap();
    world.configure("[ties]\nway = \"score\"\nkey = \"operators.key\"\ncohort = 2\n").await;
    let b = world.run_b().await;
    let key = key_of_b(&world);
    let (alice, bob) = (world.register("alice").await, world.register("bob-of-a").await);
    let mut pseudonyms = Vec::new();
    for account in [&alice, &alice, &bob] {
        pseudonyms.push(world.detach(&account.device_token, None).await.unwrap().registered.user);
    }
    // Each of Alice's two pseudonyms is complained about once, and one of them over and over: what a hub says counts twice.
    for at in [0, 1, 1, 1] {
        ask_for(&world, &key, &pseudonyms[at], Wanted::Suspend).await;
    }
    decided(&mut world).await;
    world.restart().await;
    let (operator, now) = (operator_of(&world), world.present());
    let at = |name: String| folder.join(name);
    let reached = |name: &str, threshold: u16| {
        let file = |step: &str| at(format!("{name}-{threshold}-{step}"));
        let number = operator.ask_score(name, threshold, &file("question"), now).unwrap();
        let share = |number: u8| at(format!("operator-{number}.share"));
        operate::blind_question(&share(0), &file("question"), &file("half")).unwrap();
        let early = operate::read_question(&share(0), &file("half"), &file("early")).unwrap_err().to_string();
        assert!(early.starts_with("as many operators as are needed blind once each"), "{early}");
        operate::blind_question(&share(2), &file("half"), &file("blinded")).unwrap();
        operate::read_question(&share(0), &file("blinded"), &file("0")).unwrap();
        operate::read_question(&share(2), &file("blinded"), &file("2")).unwrap();
        let too_few = operator.score_reached(&file("blinded"), &[&file("0")]).unwrap_err().to_string();
        assert_eq!(too_few, "1 shares, 2 are needed");
        let first = operator.score_reached(&file("blinded"), &[&file("0"), &file("2")]).unwrap();
        // In the second round two others take part.
        operator.confirm_question(number, &file("begun")).unwrap();
        let one = operate::prove_question(&share(1), &file("begun"), &file("once")).unwrap();
        let early = operate::read_proved_question(&share(1), &file("once"), &file("early")).unwrap_err().to_string();
        assert_eq!(early, "as many operators as are needed blind before any gives its shares");
        let twice = operate::prove_question(&share(1), &file("once"), &file("early")).unwrap_err().to_string();
        assert_eq!(twice, "operator 1 has made its step already, or is no operator");
        assert_eq!(
            operate::prove_question(&share(2), &file("once"), &file("proved")).unwrap(),
            one,
            "the same question"
        );
        assert_eq!(one.threshold, threshold);
        for number in [1, 2] {
            let shares = file(&format!("proved-{number}"));
            assert_eq!(operate::read_proved_question(&share(number), &file("proved"), &shares).unwrap(), one);
        }
        let shares = [file("proved-1"), file("proved-2")];
        let shares = [shares[0].as_path(), shares[1].as_path()];
        let too_few = operator.question_confirmed(number, &file("proved"), &shares[..1]).unwrap_err().to_string();
        assert_eq!(too_few, "1 shares, 2 are needed");
        assert_eq!(operator.question_confirmed(number, &file("proved"), &shares).unwrap(), first);
        first
    };
    assert!(reached("alice", 12), "three requests of weight four");
    assert!(!reached("alice", 13));
    assert!(!reached("bob-of-a", 1), "the same cohort, and nothing of it");
    // A round of one question is no answer to another.
    let shares = ["alice-12-proved-1", "alice-12-proved-2"].map(|name| at(name.into()));
    let shares = [shares[0].as_path(), shares[1].as_path()];
    let other = operator.question_confirmed(2, &at("alice-12-proved".into()), &shares).unwrap_err().to_string();
    assert_eq!(other, "the round is of another question");
    let asked: Vec<_> = operator.questions().unwrap().into_iter().map(|one| (one.threshold, one.reached)).collect();
    assert_eq!(asked, [(12, Some(true)), (13, Some(false)), (1, Some(false))]);
    assert_eq!(
        operator.ask_reputation("alice", &at("none".into()), now).unwrap_err().to_string(),
        "no reputations are kept"
    );
    for pseudonym in &pseudonyms[..2] {
        world.assert_untied_names(&alice.user, pseudonym);
    }
    // Requests reach the pseudonyms alone, until the operator acts by the account's name.
    assert!(world.detach(&alice.device_token, None).await.is_ok());
    assert_eq!(silenced(&world).len(), 2);
    operator.set_remedy("alice", Some(HomeRemedy::Suspend), world.present()).unwrap();
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::Forbidden));
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_complained_about_counts_and_what_somebody_did_does_not() {
    let mut world = World::start("conduct").await;
    let folder = world.folder.join("a.example");
    operate::deal_key(true, 1, 1, &folder).unwrap();
    // A minute before a moment at which conduct is counted.
    world.offset = 86_340 - i64::try_from(world.now.as_secs() % 86_400).unwrap();
    let ties = "way = \"score\"\nkey = \"operators.key\"\ncohort = 2\npseudonyms = 3\nperiod_days = 1\nreputation = 3";
    world.configure(&format!("[ties]\n{ties}\n")).await;
    let b = world.run_b().await;
    let key = key_of_b(&world);
    world
        .wait_for(|rows| {
            !rows.iter().any(|row| row.contains("numbers:") && row.contains("conduct") && row.contains("Integer(0)"))
        })
        .await;
    let (alice, bob) = (world.register("alice").await, world.register("bob-of-a").await);
    let mut pseudonyms = Vec::new();
    for account in [&alice, &alice, &alice, &bob, &bob, &bob] {
        pseudonyms.push(world.detach(&account.device_token, None).await.unwrap().registered.user);
    }
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::OverQuota));
    assert_eq!(operator_of(&world).waiting_for_more().unwrap(), std::slice::from_ref(&alice.user));
    ask_for(&world, &key, &pseudonyms[4], Wanted::Suspend).await;
    decided(&mut world).await;
    world.wait_for(|rows| rows.iter().any(|row| row.starts_with("tie_reputations:"))).await;
    let (operator, now) = (operator_of(&world), world.present());
    let reached = |name: &str, round: &str| {
        let file = |step: &str| folder.join(format!("{name}-{round}-{step}"));
        let share = folder.join("operator-0.share");
        let number = operator.ask_reputation(name, &file("question"), now).unwrap();
        operate::blind_question(&share, &file("question"), &file("blinded")).unwrap();
        operate::read_question(&share, &file("blinded"), &file("shares")).unwrap();
        assert!(operator.answer_question(99, &file("blinded"), &[&file("shares")]).is_err(), "no such question");
        operator.answer_question(number, &file("blinded"), &[&file("shares")]).unwrap()
    };
    assert!(reached("alice", "1"), "three pseudonyms, one period");
    assert!(!reached("bob-of-a", "1"), "one of his was complained about");
    for account in [&alice, &bob] {
        for _ in 0..3 {
            assert!(world.detach(&account.device_token, None).await.is_ok());
        }
    }
    assert!(world.detach(&alice.device_token, None).await.is_ok(), "one more");
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::OverQuota));
    assert_eq!(world.detach(&bob.device_token, None).await, Err(Problem::OverQuota));
    assert_eq!(operator.waiting_for_more().unwrap(), std::slice::from_ref(&bob.user), "who has more does not wait");
    // Counted once, however often the provider starts; and what is stored names nobody's account beside a pseudonym.
    world.restart().await;
    assert!(!reached("bob-of-a", "2"));
    for (at, pseudonym) in pseudonyms.iter().enumerate() {
        world.assert_untied_names(if at < 3 { &alice.user } else { &bob.user }, pseudonym);
    }
    b.end().await;
}

/// Alice has pseudonyms with devices of their own. Two of three operators find them together, and the provider acts on all.
async fn acted_on_with_all_pseudonyms(name: &str, ties: &str, shares_in: &str) {
    let mut world = World::start(name).await;
    let folder = world.folder.join("a.example");
    std::fs::create_dir_all(folder.join("opening")).unwrap();
    operate::deal_key(false, 2, 3, &folder.join("opening")).unwrap();
    operate::deal_key(true, 2, 3, &folder).unwrap();
    world.configure(&format!("[ties]\n{ties}\n")).await;
    let (alice, bob) = (world.register("alice").await, world.register("bob-of-a").await);
    let mut hers = Vec::new();
    for _ in 0..3 {
        hers.push(world.detach(&alice.device_token, None).await.unwrap());
    }
    let his = world.detach(&bob.device_token, None).await.unwrap();
    assert!(hers.iter().all(|one| one.account_mark == hers[0].account_mark && one.account_mark.len() == 16));
    assert_ne!(his.account_mark, hers[0].account_mark);
    let (operator, now) = (operator_of(&world), world.present());
    let at = |name: &str| folder.join(name);
    let share = |number: u8, request: &str, shares: &str| {
        let holder = folder.join(shares_in).join(format!("operator-{number}.share"));
        operate::give_list_shares(&holder, &at(&format!("{number}.seen")), &at(request), &at(shares), now)
    };
    let act = |request: &str, remedy, shares: &[&str]| {
        let shares: Vec<_> = shares.iter().map(|name| at(name)).collect();
        let shares: Vec<_> = shares.iter().map(std::path::PathBuf::as_path).collect();
        operator.act_on_list(&at(request), remedy, &shares, now).map_err(|error| error.to_string())
    };
    // By the account's name alone its pseudonyms go on.
    operator.set_remedy("alice", Some(HomeRemedy::Suspend), now).unwrap();
    assert_eq!(silenced(&world), [alice.user.to_string()]);
    operator.set_remedy("alice", None, now).unwrap();
    // Without an entry, with one about somebody else, or with one share nothing is found.
    assert_eq!(operator.ask_for_list("alice", 0, 0, &at("none")).unwrap_err().to_string(), "no entry at this position");
    assert_eq!(operator.log_list_opening("bob-of-a", "abuse desk", "spam", now).unwrap(), 0);
    operator.ask_for_list("alice", 0, 0, &at("bobs")).unwrap();
    assert_eq!(share(0, "bobs", "s").unwrap_err().to_string(), "the entry is about another pseudonym");
    assert_eq!(operator.log_list_opening("alice", "abuse desk", "spam", now).unwrap(), 1);
    operator.ask_for_list("alice", 1, 1, &at("request-0")).unwrap();
    operator.ask_for_list("alice", 1, 0, &at("request-1")).unwrap();
    share(0, "request-0", "share-0").unwrap();
    share(1, "request-1", "share-1").unwrap();
    assert_eq!(act("request-1", Some(HomeRemedy::Remove), &["share-0"]), Err("1 shares, 2 are needed".into()));
    // She draws one more meanwhile: it would be left out. Whoever is suspended draws none.
    hers.push(world.detach(&alice.device_token, None).await.unwrap());
    let since = act("request-1", Some(HomeRemedy::Remove), &["share-0", "share-1"]).unwrap_err();
    assert!(since.starts_with("the account has drawn pseudonyms since"), "{since}");
    assert!(silenced(&world).is_empty());
    operator.set_remedy("alice", Some(HomeRemedy::Suspend), now).unwrap();
    assert_eq!(world.detach(&alice.device_token, None).await, Err(Problem::Forbidden));
    for number in [0, 1] {
        operator.ask_for_list("alice", 1, 2, &at(&format!("again-{number}"))).unwrap();
        share(number, &format!("again-{number}"), &format!("final-{number}")).unwrap();
    }
    let all = ["final-0", "final-1"];
    assert_eq!(
        act("again-0", Some(HomeRemedy::Remove), &["share-0", "final-1"]),
        Err("shares are for another list".into())
    );
    assert_eq!(act("again-0", Some(HomeRemedy::Remove), &all), Ok(4));
    let mut wanted: Vec<_> = hers.iter().map(|one| one.registered.user.to_string()).collect();
    wanted.push(alice.user.to_string());
    wanted.sort();
    assert_eq!(silenced(&world), wanted, "each at a moment of its own; and nobody else's");
    // Their devices get nothing any more by which a pseudonym goes on, and see why.
    for one in &hers {
        let shown = device(&one.registered.device_token);
        let none = CredentialsRequest { items: vec![] };
        let refused: Result<CredentialsResponse, _> = world.post(shown, local::CREDENTIALS_PATH, &none).await;
        assert_eq!(refused.unwrap_err(), Problem::Forbidden);
        let (_, body) = world.send(shown, Method::GET, local::APPEAL_PATH, vec![]).await;
        assert_eq!(Standing::decode(&body).unwrap().remedy, StandingRemedy::Removed);
        world.assert_untied_names(&alice.user, &one.registered.user);
    }
    let dated = "SELECT COUNT(*) FROM account_decisions WHERE decided_at % 86400000 <> 0";
    assert_eq!(world.db().query_row(dated, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "by the day alone");
    // She sees that her list was opened, and Bob that his was asked for.
    let entries: Vec<_> = {
        let (_, body) = world.send(Shown::default(), Method::GET, local::OPENINGS_PATH, vec![]).await;
        let shown = OpeningsResponse::decode(&body).unwrap();
        shown.entries.iter().map(|entry| Entry::decode(entry).unwrap()).collect()
    };
    for (of, user) in [(&hers[0], &alice.user), (&his, &bob.user)] {
        let mark = OwnerMark::restore(of.account_mark.clone().try_into().unwrap(), user.clone());
        assert_eq!(mark.openings(&entries).len(), 1);
    }
    // With the same shares it is taken back.
    assert_eq!(act("again-0", None, &all), Ok(4));
    assert!(silenced(&world).is_empty());
    assert!(world.detach(&alice.device_token, None).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_behind_broken_glass_is_acted_on_with_all_its_pseudonyms() {
    let ties = "way = \"break-glass\"\nkey = \"opening/operators.key\"";
    acted_on_with_all_pseudonyms("glass-names", ties, "opening").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_score_is_acted_on_with_all_its_pseudonyms() {
    let ties = "way = \"score\"\nkey = \"operators.key\"\ncohort = 2\nlists = \"opening/operators.key\"";
    acted_on_with_all_pseudonyms("score-names", ties, "opening").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_takes_its_pseudonyms_and_their_rows_with_it() {
    let world = World::start_tied("act-delete", "way = \"act-only\"\nkey = \"act.key\"").await;
    let (alice, bob) = (world.register("alice").await, world.register("bob-of-a").await);
    let mut pseudonyms = Vec::new();
    for account in [&alice, &alice, &bob] {
        pseudonyms.push(world.detach(&account.device_token, None).await.unwrap().registered);
    }
    let key = ActKey::from_secret(&world.key_file("act.key").try_into().unwrap());
    let rows = |world: &World| -> Vec<Vec<u8>> {
        let db = world.db();
        let mut rows = db.prepare("SELECT found_by FROM tie_rows ORDER BY found_by").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(rows(&world).len(), 3);
    assert!(operator_of(&world).delete_account(pseudonyms[0].user.name()).is_err(), "by the account's name alone");
    operator_of(&world).delete_account("alice").unwrap();
    assert_eq!(rows(&world), [key.tag(&pseudonyms[2].user).to_vec()], "Bob's stays");
    for (at, pseudonym) in pseudonyms.iter().enumerate() {
        assert_eq!(world.rows_with(&[pseudonym.user.as_str()]).is_empty(), at < 2, "pseudonym {at}");
    }
    assert_eq!(world.rows_with(&[alice.user.as_str()]), [""; 0]);
    assert_eq!(operator_of(&world).delete_account("alice").unwrap_err().to_string(), "alice: there is no such account");
}
