//! The operator's page, `docs/operate.md`, is followed to the letter: its commands are taken from the page.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use http::Method;
use mimi_wire::{
    AppDataDictionary, IdentifierRequest, IdentifierResponse, QueryElement, SearchField, Wire,
    local::{self, *},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use support::{
    Shown, exchange,
    walk::{Walk, is_private},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_leads_from_nothing_to_two_federated_providers() {
    let mut walk = Walk::new("page");
    let [install, setup, run, reach, accounts]: [Vec<String>; 5] = walk.blocks().try_into().unwrap();
    // The folder that is named there is that of the package whose program has this name.
    let words: Vec<_> = install[0].split(' ').collect();
    assert_eq!((install.len(), &words[..4]), (1, &["cargo", "install", "--locked", "--path"][..]));
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(words[4]).join("Cargo.toml");
    assert!(std::fs::read_to_string(manifest).unwrap().contains("\nname = \"mimi-provider\"\n"));
    for line in &setup {
        walk.printed(line);
    }
    assert!(
        ["tls.key", "issuer.key", "operator.token", "provider.toml"]
            .iter()
            .all(|file| is_private(&walk.folder.join("a").join(file)))
    );
    for (line, address) in run.iter().zip(walk.addresses) {
        assert!(line.ends_with(" &"));
        walk.start(line, address);
    }
    for (line, (domain, address)) in
        reach.iter().zip([("b.example", walk.addresses[1]), ("a.example", walk.addresses[0])])
    {
        let said = walk.printed(line);
        assert!(said.starts_with(&format!("good   {domain} at {address}: ")), "{said}");
    }
    let printed: Vec<_> = accounts.iter().map(|line| walk.printed(line)).collect();
    assert_eq!(printed[2], "mimi://a.example/u/alice 0\n");
    assert!(printed[3].contains("accounts           1\n") && printed[3].contains("devices            0\n"));
    let taken = walk.refused(&accounts[0]);
    assert_eq!(taken, "mimi-provider: alice: there is such an account already\n");

    // The codes let devices in, and one provider finds the other's user.
    let root = CertificateDer::from_pem_file(walk.folder.join("authority/root.pem")).unwrap();
    let mut registered = Vec::new();
    for (at, name) in ["a.example", "b.example"].into_iter().enumerate() {
        let code: Vec<u8> = printed[at]
            .trim()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let request = AddDeviceRequest {
            enrolment_code: EnrolmentCode::from_bytes(code.try_into().unwrap()),
            device_name: "telephone".into(),
        };
        let (status, body) = exchange(
            &root,
            walk.addresses[at],
            name,
            Shown::default(),
            Method::POST,
            local::DEVICE_PATH,
            request.encode(),
        )
        .await;
        assert_eq!(status, 200);
        registered.push(RegisterResponse::decode(&body).unwrap());
    }
    let query = LocalIdentifierQuery {
        domain: "b.example".parse().unwrap(),
        request: IdentifierRequest {
            elements: vec![QueryElement { field: SearchField::Handle, value: "im:bob@b.example".into() }],
            extensions: AppDataDictionary::default(),
        },
    };
    let alice = Shown { token: Some(&registered[0].device_token), ..Shown::default() };
    let (status, body) = exchange(
        &root,
        walk.addresses[0],
        "a.example",
        alice,
        Method::POST,
        local::IDENTIFIER_QUERY_PATH,
        query.encode(),
    )
    .await;
    assert_eq!(status, 200);
    let found = IdentifierResponse::decode(&body).unwrap();
    assert!(format!("{found:?}").contains("mimi://b.example/u/bob"), "{found:?}");

    // A copy while it runs is a whole database.
    walk.printed("mimi-provider backup copy.sqlite --config a/provider.toml");
    assert!(is_private(&walk.folder.join("copy.sqlite")));
    let copy = rusqlite::Connection::open(walk.folder.join("copy.sqlite")).unwrap();
    let users: i64 = copy.query_row("SELECT COUNT(*) FROM devices", [], |row| row.get(0)).unwrap();
    assert_eq!(users, 1);
    assert!(walk.refused("mimi-provider backup copy.sqlite --config a/provider.toml").contains("copy.sqlite"));

    // An account goes for good, while the provider runs.
    walk.printed("mimi-provider account delete alice --config a/provider.toml");
    assert_eq!(walk.printed("mimi-provider account list --config a/provider.toml"), "");
    let gone = walk.refused("mimi-provider account delete alice --config a/provider.toml");
    assert_eq!(gone, "mimi-provider: alice: there is no such account\n");
    let again = walk.refused(&accounts[0]);
    assert!(
        again.starts_with("mimi-provider: alice: an account of this name was deleted. Its name is not given"),
        "{again}"
    );
    let pseudonym = format!("mimi-provider account delete p-{} --config a/provider.toml", "0".repeat(32));
    assert!(walk.refused(&pseudonym).contains("no"));

    for child in &mut walk.running {
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "it ends well when it is asked to");
    }
}

#[test]
fn what_is_wrong_is_named_before_anything_runs() {
    let walk = Walk::new("wrong");
    let init = "mimi-provider init --folder a --domain a.example --listen 127.0.0.1:8443";
    walk.printed(init);
    assert_eq!(walk.refused(init), "mimi-provider: a/provider.toml: there already\n");
    walk.printed("mimi-provider check --config a/provider.toml");
    walk.printed("mimi-provider init --folder b --domain b.example --authority a/authority");
    std::fs::copy(walk.folder.join("b/tls.pem"), walk.folder.join("a/tls.pem")).unwrap();
    std::fs::copy(walk.folder.join("b/tls.key"), walk.folder.join("a/tls.key")).unwrap();
    let output = walk.run("mimi-provider check --config a/provider.toml");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success()
            && said.contains("WRONG  certificate as others see it: a/tls.pem: not valid for a.example"),
        "{said}"
    );
    let config = walk.folder.join("a/provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("port = 8443", "port = 84430")).unwrap();
    assert!(walk.refused("mimi-provider status --config a/provider.toml").contains("line 3, port: "));
    std::fs::write(&config, &text).unwrap();
    let twice = "mimi-provider peer add a.example --anchor ../b/issuer.pem --config a/provider.toml";
    assert!(walk.refused(twice).contains("a.example is listed twice or is this provider itself"));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text, "nothing was written");
    assert!(walk.refused("mimi-provider status").contains("MIMI_CONFIG"));
    let mut status = walk.command("mimi-provider status --config a/provider.toml");
    let output = status.env("MIMI_PORT", "many").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("MIMI_PORT: "));
}

/// What is answered at the address for tools.
fn asked(address: SocketAddr, path: &str) -> String {
    use std::io::{Read, Write};
    let mut tcp = std::net::TcpStream::connect(address).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_answered_and_certificates_read_again() {
    let mut walk = Walk::new("tools");
    let [address, admin] = walk.addresses;
    walk.printed(&format!("mimi-provider init --folder a --domain a.example --listen {address}"));
    let config = walk.folder.join("a/provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[admin]\nlisten = \"{admin}\"\n\n[log]\nformat = \"json\"\n")).unwrap();
    let file = std::fs::File::create(walk.folder.join("log")).unwrap();
    walk.start_with("mimi-provider run --config a/provider.toml", address, file);
    assert!(asked(admin, "/live").starts_with("HTTP/1.1 200"));
    assert!(asked(admin, "/ready").starts_with("HTTP/1.1 200"));
    assert!(asked(admin, "/else").starts_with("HTTP/1.1 404"));
    let root = CertificateDer::from_pem_file(walk.folder.join("a/authority/root.pem")).unwrap();
    let info = || exchange(&root, address, "a.example", Shown::default(), Method::GET, local::INFO_PATH, vec![]);
    assert_eq!(info().await.0, 200);
    let until = Instant::now() + Duration::from_secs(10);
    while !asked(admin, "/metrics").contains("\nmimi_connections 0\n") {
        assert!(Instant::now() < until, "nobody is connected");
        std::thread::sleep(Duration::from_millis(20));
    }
    let metrics = asked(admin, "/metrics");
    for line in
        ["mimi_database_up 1", "mimi_refused_total{limit=\"device_requests\"} 0", "mimi_certificate_expires_seconds 6"]
    {
        assert!(metrics.contains(&format!("\n{line}")), "{line} is not in {metrics}");
    }
    assert!(metrics.contains("mimi_exchanges_total{direction=\"in\",endpoint=\"info\",status=\"200\"} 1"), "{metrics}");

    // Another authority: who believes the first one alone is not served any more.
    walk.printed(&format!("mimi-provider init --folder c --domain a.example --listen {address}"));
    for file in ["tls.pem", "tls.key", "roots.pem"] {
        std::fs::copy(walk.folder.join("c").join(file), walk.folder.join("a").join(file)).unwrap();
    }
    assert_eq!(info().await.0, 200, "nobody has said that they are new");
    let id = walk.running[0].id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    let other = CertificateDer::from_pem_file(walk.folder.join("c/authority/root.pem")).unwrap();
    let ask = || {
        support::try_exchange(
            &other,
            address,
            "a.example",
            Shown::default(),
            Method::GET,
            local::INFO_PATH,
            vec![],
            "a/b",
            "a.example",
        )
    };
    let until = Instant::now() + Duration::from_secs(10);
    while ask().await.is_none() {
        assert!(Instant::now() < until, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = || std::fs::read_to_string(walk.folder.join("log")).unwrap();
    assert!(log().lines().last().is_some_and(|line| line.starts_with('{')), "{}", log());
    assert!(log().contains("\"note\":\"certificates-read\""), "{}", log());
    std::fs::write(walk.folder.join("a/tls.pem"), "nothing").unwrap();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    let until = Instant::now() + Duration::from_secs(10);
    while !log().contains("\"fault\":\"certificates\"") {
        assert!(Instant::now() < until, "nothing says that they cannot be used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ask().await.is_some(), "what cannot be used changes nothing");
}

#[test]
fn one_process_serves_from_a_sqlite_database() {
    let mut walk = Walk::new("twice");
    let [address, other] = walk.addresses;
    walk.printed(&format!("mimi-provider init --folder a --domain a.example --listen {address}"));
    let run = "mimi-provider run --config a/provider.toml";
    walk.start(run, address);
    let second = walk.refused(&format!("{run} --listen {other}"));
    assert!(second.contains("a/data/provider.lock: another mimi-provider serves from this folder"), "{second}");
    // What an operator asks goes on beside it.
    walk.printed("mimi-provider account add alice --config a/provider.toml");
    let status = "mimi-provider status --config a/provider.toml";
    let said = walk.printed(status);
    assert!(said.contains("\nruns               yes\n") && said.contains("accounts           1\n"), "{said}");
    walk.printed("mimi-provider check --config a/provider.toml");
    // However the process ends, the next one may begin.
    walk.running[0].kill().unwrap();
    walk.running[0].wait().unwrap();
    assert!(walk.printed(status).contains("\nruns               no\n"));
    walk.start(&format!("{run} --listen {other}"), other);
}

/// The octets of a code or token as the provider prints them.
fn octets(text: &str) -> [u8; 32] {
    let digits = text.trim().as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let octets: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_has_the_fields_it_may_have_and_says_of_nobody_who_it_is() {
    const FIELDS: [&str; 6] = ["direction", "endpoint", "millis", "status", "time", "who"];
    let mut walk = Walk::new("log");
    let [address, _] = walk.addresses;
    walk.printed(&format!("mimi-provider init --folder a --domain a.example --listen {address}"));
    let config = walk.folder.join("a/provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[log]\nformat = \"json\"\n")).unwrap();
    let log = walk.folder.join("log");
    let file = std::fs::File::create(&log).unwrap();
    walk.start_with("mimi-provider run --config a/provider.toml", address, file);
    let code = octets(&walk.printed("mimi-provider account add alice --display-name Liddell --config a/provider.toml"));
    let root = CertificateDer::from_pem_file(walk.folder.join("a/authority/root.pem")).unwrap();
    let request =
        AddDeviceRequest { enrolment_code: EnrolmentCode::from_bytes(code), device_name: "looking-glass".into() };
    let (status, body) =
        exchange(&root, address, "a.example", Shown::default(), Method::POST, local::DEVICE_PATH, request.encode())
            .await;
    assert_eq!(status, 200);
    let device = RegisterResponse::decode(&body).unwrap();
    let shown = Shown { token: Some(&device.device_token), ..Shown::default() };
    let request = PseudonymsRequest { count: 1 }.encode();
    let (_, body) = exchange(&root, address, "a.example", shown, Method::POST, local::PSEUDONYMS_PATH, request).await;
    let given = PseudonymsResponse::decode(&body).unwrap().pseudonyms.remove(0);
    let at_room = format!("{}/{}", local::UPDATE_PATH, "mimi%3A%2F%2Fa.example%2Fr%2Ftea-party");
    for (shown, path) in [(shown, at_room.as_str()), (shown, "/nowhere"), (Shown::default(), local::ACK_PATH)] {
        assert!(exchange(&root, address, "a.example", shown, Method::POST, path, vec![1; 40]).await.0 >= 400);
    }
    let inbox = format!("{}?after=0&wait=0", local::INBOX_PATH);
    assert_eq!(exchange(&root, address, "a.example", shown, Method::GET, &inbox, vec![]).await.0, 200);

    let written = std::fs::read_to_string(&log).unwrap();
    let mut lines = written.lines();
    let first: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!((&first["note"], &first["address"]), (&"listening".into(), &address.to_string().into()));
    assert_eq!(first.as_object().unwrap().len(), 3);
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 6, "{written}");
    for line in lines {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        assert_eq!(line.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(FIELDS));
        assert!(["client", "-"].contains(&line["who"].as_str().unwrap()), "{line:?}");
        assert!(
            line["endpoint"]
                .as_str()
                .unwrap()
                .chars()
                .all(|letter| letter.is_ascii_alphabetic() || ".-".contains(letter))
        );
    }
    // As it stands in the database.
    let token = [&32_u64.to_be_bytes()[..], device.device_token.as_bytes()].concat();
    let token = ring::digest::digest(&ring::digest::SHA256, &token);
    let secrets = [
        hexadecimal(&code),
        hexadecimal(device.device_token.as_bytes()),
        hexadecimal(&token.as_ref()[..4]),
        given.name().to_owned(),
        device.client.to_string(),
        "alice".into(),
        "Liddell".into(),
        "looking-glass".into(),
        "tea-party".into(),
    ];
    for secret in secrets {
        assert!(!written.contains(&secret), "{secret} is in\n{written}");
    }
}

#[test]
fn a_provider_is_ready_as_long_as_its_database_answers() {
    let Some(mut server) = support::postgres::Postgres::start(true) else { return };
    let mut walk = Walk::new("ready");
    let [address, admin] = walk.addresses;
    walk.printed(&format!("mimi-provider init --folder a --domain a.example --listen {address}"));
    let config = walk.folder.join("a/provider.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let database = server.create("ready");
    let more = format!("[admin]\nlisten = \"{admin}\"\n\n[database]\npostgres = \"{database}\"\n");
    std::fs::write(&config, format!("{text}\n{more}")).unwrap();
    walk.start("mimi-provider run --config a/provider.toml", address);
    walk.printed("mimi-provider ready --config a/provider.toml");
    assert!(walk.printed("mimi-provider status --config a/provider.toml").contains("\nruns               yes\n"));
    server.kill();
    assert!(asked(admin, "/ready").starts_with("HTTP/1.1 503"));
    assert!(asked(admin, "/live").starts_with("HTTP/1.1 200"), "it is not the process that is ill");
    assert!(asked(admin, "/metrics").contains("\nmimi_database_up 0\n"));
    let said = walk.refused("mimi-provider ready --config a/provider.toml");
    assert!(said.contains("not ready: the database does not answer"), "{said}");
    server.begin();
    let until = Instant::now() + Duration::from_secs(30);
    while !asked(admin, "/ready").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < until, "it does not find its database again");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").arg(walk.running[0].id().to_string()).status().unwrap().success());
    assert!(walk.running[0].wait().unwrap().success());
}
