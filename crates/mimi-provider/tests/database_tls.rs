//! The way to a PostgreSQL server is encrypted and the server's name verified, or nothing is sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mimi_provider::{Config, Options, Provider, StartError};
use mimi_wire::local::{self, PseudonymsRequest, PseudonymsResponse};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use support::{Shown, World, free_address, postgres::Postgres};

/// An authority, and a certificate of it with its key, all in PEM.
fn certified(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority of databases");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}

/// A server for encrypted connections alone, besides those by its socket; the authority of its certificate, and its port.
fn server(name: &str) -> Option<(Postgres, String, u16)> {
    let (authority, certificate, key) = certified(name);
    let port = free_address().port();
    let only_encrypted = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
    let files = [("server.crt", certificate.as_str()), ("server.key", key.as_str()), ("pg_hba.conf", only_encrypted)];
    let port_option = format!("port={port}");
    let options = ["-c", "ssl=on", "-c", "listen_addresses=127.0.0.1", "-c", &port_option];
    Some((Postgres::start_with(false, false, &[], &files, &options)?, authority, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_reached_by_tls_with_its_name_or_not_at_all() {
    let Some((server, authority, port)) = tokio::task::spawn_blocking(|| server("localhost")).await.unwrap() else {
        return;
    };
    server.create("tls");
    let folder = std::env::temp_dir().join(format!("mimi-provider-database-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (own, other) = (folder.join("own.pem"), folder.join("other.pem"));
    std::fs::write(&own, authority).unwrap();
    std::fs::write(&other, certified("localhost").0).unwrap();
    let database = |host: &str, roots: Option<&std::path::Path>| {
        let roots = roots.map_or(String::new(), |path| format!("roots = \"{}\"\n", path.display()));
        format!("[database]\npostgres = \"host={host} hostaddr=127.0.0.1 port={port} user=mimi dbname=tls\"\n{roots}")
    };
    let world = World::start_on("database-tls", &database("localhost", Some(&own))).await;
    let alice = world.register("alice").await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let request = PseudonymsRequest { count: 1 };
    world.post::<PseudonymsResponse>(shown, local::PSEUDONYMS_PATH, &request).await.unwrap();
    let encrypted = "SELECT count(*), bool_and(ssl), min(version) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'mimi-provider'";
    let found = server.psql("tls", encrypted).unwrap();
    let (connections, rest) = found.split_once('|').unwrap();
    assert!(connections.parse::<u32>().unwrap() >= 2, "{found}");
    assert_eq!(rest, "t|TLSv1.3");

    let path = world.folder.join("a.example/provider.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let right = database("localhost", Some(&own));
    for (what, wrong, why) in [
        ("another authority", database("localhost", Some(&other)), "TLS handshake"),
        ("another name", database("db.example", Some(&own)), "TLS handshake"),
        ("no encryption", database("localhost", None), "SQLSTATE 28000"),
        ("no such file", database("localhost", Some(&folder.join("nothing.pem"))), "the file of authorities"),
        ("nobody to believe", database("localhost sslmode=require", None), "sslmode=require needs `roots`"),
    ] {
        let text = text.replace(&right, &wrong);
        let mut config = Config::parse(&text, &world.folder.join("a.example")).unwrap();
        config.set(mimi_provider::Setting::Listen, "the test", "127.0.0.1:0").unwrap();
        let error = Provider::start(config, Options::default().quiet()).await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, StartError::Store(_)) && said.contains(why), "{what}: {said}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tls_is_not_spoken_to_when_tls_is_wanted() {
    let port = free_address().port();
    let option = format!("port={port}");
    let options = ["-c", "listen_addresses=127.0.0.1", "-c", &option];
    let start = || Postgres::start_with(false, false, &[], &[], &options);
    let Some(server) = tokio::task::block_in_place(start) else { return };
    server.create("plain");
    let world = World::start("database-plain").await;
    let roots = world.folder.join("a.example/roots.pem");
    let database = format!(
        "[database]\npostgres = \"host=127.0.0.1 port={port} user=mimi dbname=plain\"\nroots = \"{}\"\n",
        roots.display()
    );
    let path = world.folder.join("a.example/provider.toml");
    let text = format!("{}\n{database}", std::fs::read_to_string(path).unwrap());
    let mut config = Config::parse(&text, &world.folder.join("a.example")).unwrap();
    config.set(mimi_provider::Setting::Listen, "the test", "127.0.0.1:0").unwrap();
    let error = Provider::start(config, Options::default().quiet()).await.unwrap_err();
    assert!(error.to_string().contains("TLS handshake"), "{error}");
    assert_eq!(
        server
            .psql(
                "plain",
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mimi' AND application_name = 'mimi-provider'"
            )
            .unwrap(),
        "0"
    );
}
