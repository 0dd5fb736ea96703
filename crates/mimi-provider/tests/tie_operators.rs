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
    desk.operators.done(0, "tie deal scores 2 3 .");
    for number in [1, 2] {
        bring(&desk.operators.of(0), &desk.operators.of(number), &format!("operator-{number}.share"));
        fs::remove_file(desk.operators.of(0).join(format!("operator-{number}.share"))).unwrap();
    }
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
