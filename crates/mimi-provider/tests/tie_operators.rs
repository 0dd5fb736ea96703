//! Operators who share a key, each with a folder of its own and the program alone, and a provider that is a process of its own: on
//! SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use http::Method;
use mimi_pseudonym::UserUri;
use mimi_wire::{
    Wire,
    local::{self, *},
};
use support::{
    postgres,
    sites::{Person, Sites},
};

const SITE: &str = "a.example";
const PATIENCE: Duration = Duration::from_secs(20);

/// Operators, each with a folder that only its own process reads; what goes from one to the other is copied.
struct Operators {
    folder: PathBuf,
}

impl Operators {
    fn new(folder: PathBuf) -> Self {
        for number in 0..3 {
            fs::create_dir_all(folder.join(number.to_string())).unwrap();
        }
        Self { folder }
    }

    fn of(&self, number: usize) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// What a command prints, or what it says against it.
    fn run(&self, number: usize, line: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
        command.args(line.split(' ')).current_dir(self.of(number)).stdin(Stdio::null());
        said(&mut command)
    }

    /// The same, where it has to go well.
    fn done(&self, number: usize, line: &str) -> String {
        self.run(number, line).unwrap_or_else(|said| panic!("{line}: {said}"))
    }
}

impl Operators {
    /// Brings what one operator has written for others to them.
    fn send(&self, kind: &str) {
        for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            let file = if kind == "secret" { format!("secret-{from}-for-{to}") } else { format!("{kind}-{from}") };
            bring(&self.of(from), &self.of(to), &file);
        }
    }

    fn all(&self, line: &str) -> Vec<String> {
        (0..3).map(|number| self.done(number, line)).collect()
    }

    /// Two of three operators make a key; returns its name.
    fn ceremony(&self, purpose: &str) -> String {
        for number in 0..3 {
            self.done(number, &format!("tie ceremony begin {purpose} 2 3 {number} ."));
        }
        self.send("introduction");
        let sessions = self.all("tie ceremony reveal .");
        assert!(sessions.iter().all(|session| *session == sessions[0] && session.len() == 64));
        self.send("revealed");
        self.all(&format!("tie ceremony tell . {}", sessions[0]));
        self.send("secret");
        let keys = self.all("tie ceremony finish .");
        self.send("done");
        assert_eq!(self.all("tie ceremony check ."), keys);
        assert!(keys.iter().all(|key| *key == keys[0]));
        keys[0].clone()
    }
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn bring(from: &Path, to: &Path, file: &str) {
    fs::copy(from.join(file), to.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
}

/// A provider, its operator, and the operators of its key.
struct Desk {
    sites: Sites,
    operators: Operators,
}

impl Desk {
    fn new(name: &str, database: Option<String>) -> Self {
        let sites = Sites::new(name, &[(SITE, database)]);
        let operators = Operators::new(sites.folder.join("operators"));
        Self { sites, operators }
    }

    fn home(&self) -> PathBuf {
        self.sites.folder.join(SITE)
    }

    fn configure(&self, ties: &str) {
        let path = self.home().join("provider.toml");
        let config = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{config}\n[ties]\n{ties}\n")).unwrap();
    }

    fn run(&self, line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split(' ').collect();
        said(self.sites.command(SITE, &words).current_dir(self.home()))
    }

    fn done(&self, line: &str) -> String {
        self.run(line).unwrap_or_else(|said| panic!("{line}: {said}"))
    }

    /// The status and body of the answer to a request for a pseudonym.
    async fn detach(&self, person: &Person) -> (u16, Vec<u8>) {
        let request = DetachRequest { device_name: "telephone".into() };
        let answer = self.sites.try_ask(SITE, person.shown(), Method::POST, local::DETACH_PATH, request.encode());
        answer.await.unwrap()
    }

    async fn pseudonym(&self, person: &Person) -> UserUri {
        let (status, body) = self.detach(person).await;
        assert_eq!(status, 200);
        DetachResponse::decode(&body).unwrap().registered.user
    }

    /// Two operators answer the first round of a question, which stands in a file of the provider.
    fn first_round(&self, name: &str) {
        let (first, second, home) = (self.operators.of(0), self.operators.of(2), self.home());
        bring(&home, &first, &format!("{name}.question"));
        self.operators.done(0, &format!("tie blind operator-0.share {name}.question {name}.half"));
        bring(&first, &second, &format!("{name}.half"));
        self.operators.done(2, &format!("tie blind operator-2.share {name}.half {name}.blinded"));
        bring(&second, &first, &format!("{name}.blinded"));
        for (number, folder) in [(0, &first), (2, &second)] {
            self.operators
                .done(number, &format!("tie read operator-{number}.share {name}.blinded {name}.shares-{number}"));
            bring(folder, &home, &format!("{name}.shares-{number}"));
        }
        bring(&first, &home, &format!("{name}.blinded"));
    }

    /// Two others answer the second round of a question.
    fn second_round(&self, number: &str, name: &str) -> Result<String, String> {
        let (first, second, home) = (self.operators.of(1), self.operators.of(2), self.home());
        self.done(&format!("tie confirm {number} {name}.begun"));
        bring(&home, &first, &format!("{name}.begun"));
        let one = self.operators.done(1, &format!("tie prove operator-1.share {name}.begun {name}.once"));
        bring(&first, &second, &format!("{name}.once"));
        let two = self.operators.done(2, &format!("tie prove operator-2.share {name}.once {name}.proved"));
        assert_eq!(one, two, "both are asked the same");
        bring(&second, &first, &format!("{name}.proved"));
        bring(&second, &home, &format!("{name}.proved"));
        for (number, folder) in [(1, &first), (2, &second)] {
            let line = format!("tie reveal operator-{number}.share {name}.proved {name}.proved-{number}");
            assert_eq!(self.operators.done(number, &line), one);
            bring(folder, &home, &format!("{name}.proved-{number}"));
        }
        self.run(&format!("tie confirmed {number} {name}.proved {name}.proved-1 {name}.proved-2"))
    }
}

/// Changes an octet of a file of hexadecimal digits, so many octets from its end.
fn tamper(path: &Path, from_end: usize) {
    let mut text = fs::read_to_string(path).unwrap().trim().to_owned().into_bytes();
    let at = text.len() - 2 * from_end;
    text[at] = if text[at] == b'0' { b'1' } else { b'0' };
    fs::write(path, text).unwrap();
}

async fn reputation(name: &str, database: Option<String>) {
    let mut desk = Desk::new(name, database);
    desk.operators.ceremony("scores");
    bring(&desk.operators.of(0), &desk.home(), "operators.key");
    desk.configure(
        "way = \"score\"\nkey = \"operators.key\"\ncohort = 2\npseudonyms = 1\nperiod_days = 1\nreputation = 1\nmore = 2",
    );
    desk.sites.start(SITE, 0);
    let alice = Person::new(&desk.sites, SITE, "alice").await;
    let bob = Person::new(&desk.sites, SITE, "bob").await;
    desk.pseudonym(&alice).await;
    let (status, refused) = desk.detach(&alice).await;
    assert!(status >= 400 && desk.done("tie waiting") == alice.user.as_str());
    assert!(desk.run("tie reputation alice early.question").unwrap_err().ends_with("nothing was counted"));
    // A period or two later, when conduct has been counted.
    let mut days = 0;
    let number = 'counted: loop {
        days += 2;
        assert!(days < 20, "conduct is never counted");
        desk.sites.kill(SITE);
        desk.sites.start(SITE, days * 86_400);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(number) = desk.run("tie reputation alice alice.question") {
                break 'counted number;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    assert_eq!(number, "0");
    // Bob has a pseudonym, and it is too young to speak for him.
    desk.pseudonym(&bob).await;
    assert_eq!(desk.done("tie reputation bob bob.question"), "1");
    for name in ["alice", "bob"] {
        desk.first_round(name);
    }
    let too_few = desk.run("tie grant 0 alice.blinded alice.shares-0").unwrap_err();
    assert!(too_few.ends_with("1 shares, 2 are needed"), "{too_few}");
    let anothers = desk.run("tie grant 0 alice.blinded alice.shares-0 bob.shares-2").unwrap_err();
    assert!(anothers.ends_with("the proof of operator 2 does not hold"), "{anothers}");
    // Until it is granted, and for whom it is not, the answer is the same octets.
    desk.pseudonym(&alice).await;
    assert_eq!(desk.detach(&alice).await, (status, refused.clone()));
    assert_eq!(desk.done("tie waiting"), alice.user.as_str());
    assert_eq!(desk.detach(&bob).await, (status, refused.clone()));
    assert_eq!(desk.done("tie grant 0 alice.blinded alice.shares-0 alice.shares-2"), "reached");
    assert_eq!(desk.done("tie grant 1 bob.blinded bob.shares-0 bob.shares-2"), "below");
    assert_eq!(desk.done("tie waiting"), "");
    for _ in 0..2 {
        desk.pseudonym(&alice).await;
    }
    assert_eq!(desk.detach(&alice).await, (status, refused.clone()), "two more, and no more than that");
    assert_eq!(desk.detach(&bob).await, (status, refused.clone()));
    assert_eq!(desk.done("tie waiting"), bob.user.as_str());

    // In the second round two others come to the same answers.
    assert_eq!(desk.second_round("0", "alice").unwrap(), "reached");
    assert_eq!(desk.second_round("1", "bob").unwrap(), "below");
    let other = desk.run("tie confirmed 1 alice.proved alice.proved-1 alice.proved-2").unwrap_err();
    assert!(other.ends_with("the round is of another question"), "{other}");
    let questions = desk.done("tie questions");
    let ends: Vec<_> = questions.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    let expected = ["alice reputation 1 reached proved", "bob reputation 1 below proved"];
    assert_eq!(ends, expected.map(|end| format!("mimi://a.example/u/{end}")));
    // A step that somebody has changed is refused by the next operator, with the number of whose it is.
    bring(&desk.operators.of(1), &desk.operators.of(2), "alice.once");
    tamper(&desk.operators.of(2).join("alice.once"), 40);
    let refused_step = desk.operators.run(2, "tie prove operator-2.share alice.once never").unwrap_err();
    assert!(refused_step.ends_with("the step of operator 1 is not proved"), "{refused_step}");
    assert!(!desk.operators.of(2).join("never").exists());
    // And the database says no more than before to a provider that starts anew.
    desk.sites.kill(SITE);
    desk.sites.start(SITE, days * 86_400);
    assert_eq!(desk.detach(&alice).await, (status, refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_pseudonyms_are_for_a_reputation_that_two_rounds_of_operators_have_found() {
    reputation("reputation", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_pseudonyms_are_for_a_reputation_on_postgresql() {
    if let Some(database) = postgres::database("reputation") {
        reputation("reputation-postgres", Some(database)).await;
    }
}

/// The names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn three_processes_make_a_key_and_none_of_them_has_it() {
    let operators = Operators::new(std::env::temp_dir().join(format!("mimi-provider-ceremony-{}", std::process::id())));
    operators.ceremony("opening");
    for number in 0..3 {
        let expected = ["done-", "introduction-", "revealed-"].map(|kind| (0..3).map(move |of| format!("{kind}{of}")));
        let mut expected: Vec<_> = expected.into_iter().flatten().collect();
        let others = (0..3).filter(|other| *other != number);
        expected.extend(others.clone().map(|other| format!("secret-{number}-for-{other}")));
        expected.extend(others.map(|other| format!("secret-{other}-for-{number}")));
        expected.extend([format!("operator-{number}.share"), "operators.key".to_owned()]);
        expected.sort();
        assert_eq!(
            names(&operators.of(number)),
            expected,
            "nobody has another's share, and nothing secret is left over"
        );
        use std::os::unix::fs::PermissionsExt;
        let share = fs::metadata(operators.of(number).join(format!("operator-{number}.share"))).unwrap();
        assert_eq!(share.permissions().mode() & 0o777, 0o600);
    }
    // Nobody's secret stands in what was sent, and each share is another one.
    let secret = |number: usize| {
        let text = fs::read_to_string(operators.of(number).join(format!("operator-{number}.share"))).unwrap();
        text[2..66].to_owned()
    };
    let secrets = [secret(0), secret(1), secret(2)];
    for number in 0..3 {
        let own = format!("operator-{number}.share");
        for name in names(&operators.of(number)).iter().filter(|name| **name != own) {
            let text = fs::read_to_string(operators.of(number).join(name)).unwrap();
            assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "{name}");
        }
    }
    // Whoever says it has come to another key is named.
    let folder = operators.of(0);
    tamper(&folder.join("done-2"), 100);
    assert!(
        operators.run(0, "tie ceremony check .").unwrap_err().ends_with("the signature of operator 2 does not hold")
    );
    fs::remove_file(folder.join("done-1")).unwrap();
    assert!(operators.run(0, "tie ceremony check .").unwrap_err().contains("done-1"));
    fs::remove_dir_all(&operators.folder).unwrap();
}

#[test]
fn a_ceremony_stops_at_the_first_letter_that_does_not_fit_and_names_whose_it_is() {
    let folder = std::env::temp_dir().join(format!("mimi-provider-ceremony-bad-{}", std::process::id()));
    let (operators, strangers) = (Operators::new(folder.join("ours")), Operators::new(folder.join("theirs")));
    for ceremony in [&operators, &strangers] {
        for number in 0..3 {
            ceremony.done(number, &format!("tie ceremony begin opening 2 3 {number} ."));
        }
    }
    let refused = |line: &str| operators.run(0, line).unwrap_err();
    assert!(refused("tie ceremony begin opening 2 3 0 .").contains("party"), "it has begun");
    assert!(refused("tie ceremony begin opening 2 3 3 other").ends_with("operators are counted from 0"));
    assert!(refused("tie ceremony reveal .").contains("introduction-1"), "not yet there");
    operators.send("introduction");
    strangers.send("introduction");
    // A letter that was changed on its way; and one that somebody else has put in its place, which the hash says.
    let (zero, good) = (operators.of(0), operators.of(2));
    tamper(&zero.join("introduction-2"), 90);
    assert!(refused("tie ceremony reveal .").ends_with("the signature of operator 2 does not hold"));
    bring(&strangers.of(2), &zero, "introduction-2");
    let deceived = operators.done(0, "tie ceremony reveal .");
    let honest = operators.done(1, "tie ceremony reveal .");
    operators.done(2, "tie ceremony reveal .");
    assert_ne!(deceived, honest);
    operators.send("revealed");
    let session = "these are not the introductions that the others have";
    assert!(refused(&format!("tie ceremony tell . {honest}")).ends_with(session));
    bring(&good, &zero, "introduction-2");
    assert!(refused(&format!("tie ceremony tell . {honest}")).ends_with(session), "it has revealed already");
    assert!(refused("tie ceremony tell . 00").ends_with("not 64 hexadecimal digits"));
    let others = operators.run(1, &format!("tie ceremony tell . {honest}")).unwrap_err();
    assert!(others.ends_with("operator 0 was introduced to others"), "{others}");

    // Once more, up to the secrets; one of them is changed, and one is another's.
    for number in 0..3 {
        fs::remove_dir_all(operators.of(number)).unwrap();
        fs::create_dir_all(operators.of(number)).unwrap();
        operators.done(number, &format!("tie ceremony begin opening 2 3 {number} ."));
    }
    operators.send("introduction");
    let session = operators.all("tie ceremony reveal .").remove(0);
    operators.send("revealed");
    tamper(&zero.join("revealed-1"), 70);
    assert!(refused(&format!("tie ceremony tell . {session}")).ends_with("the signature of operator 1 does not hold"));
    bring(&operators.of(1), &zero, "revealed-1");
    operators.all(&format!("tie ceremony tell . {session}"));
    operators.send("secret");
    tamper(&zero.join("secret-1-for-0"), 100);
    assert!(refused("tie ceremony finish .").ends_with("the signature of operator 1 does not hold"));
    fs::copy(operators.of(1).join("secret-1-for-2"), zero.join("secret-1-for-0")).unwrap();
    assert!(refused("tie ceremony finish .").ends_with("a letter of operator 1 is missing"));
    assert!(!zero.join("operators.key").exists() && zero.join("party").exists());
    bring(&operators.of(1), &zero, "secret-1-for-0");
    operators.done(0, "tie ceremony finish .");
    assert!(!zero.join("party").exists());
    fs::remove_dir_all(folder).unwrap();
}
