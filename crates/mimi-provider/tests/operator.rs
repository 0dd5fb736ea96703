//! What an operator is told before anything goes wrong, and that a command which fails leaves everything as it was.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use support::walk::{Walk, is_private};

const CHECK: &str = "mimi-provider check --config a/provider.toml";

/// A provider that has been set up, and has run.
fn set_up(name: &str) -> Walk {
    let mut walk = Walk::new(name);
    walk.printed("mimi-provider init --folder a --domain a.example --listen 127.0.0.1:8443");
    let [address, _] = walk.addresses;
    walk.start(&format!("mimi-provider run --config a/provider.toml --listen {address}"), address);
    let mut ran = walk.running.remove(0);
    ran.kill().unwrap();
    ran.wait().unwrap();
    walk
}

/// The lines of `check` that begin with a word.
fn lines(walk: &Walk, word: &str) -> Vec<String> {
    walk.said(CHECK).lines().filter(|line| line.starts_with(word)).map(str::to_owned).collect()
}

/// A certificate for a.example in the place of the provider's, from the authority that `init` has made or from itself.
fn certify(walk: &Walk, own: bool, change: impl FnOnce(&mut CertificateParams)) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let certificate = if own {
        params.self_signed(&key).unwrap()
    } else {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.distinguished_name.push(DnType::CommonName, "development authority for TLS");
        let root = fs::read_to_string(walk.folder.join("a/authority/root.key")).unwrap();
        params.signed_by(&key, &Issuer::from_params(&authority, KeyPair::from_pem(&root).unwrap())).unwrap()
    };
    fs::write(walk.folder.join("a/tls.pem"), certificate.pem()).unwrap();
    fs::write(walk.folder.join("a/tls.key"), key.serialize_pem()).unwrap();
}

#[test]
fn what_run_refuses_check_says() {
    let walk = set_up("check");
    assert!(walk.printed(CHECK).lines().all(|line| line.starts_with("good   ")), "{}", walk.said(CHECK));
    let config = walk.folder.join("a/provider.toml");
    let text = fs::read_to_string(&config).unwrap();
    let run = "mimi-provider run --config a/provider.toml";
    let admin = format!("{text}\n[admin]\nlisten = \"127.0.0.1:8443\"\n");
    for (wrong, what, why) in [
        (text.replace("operator.token", "nowhere.token"), "operator's token", "a/nowhere.token: "),
        (format!("{text}\n[ties]\nway = \"score\"\nkey = \"none.key\"\n"), "key for ties", "a/none.key: "),
        (format!("{text}\n[ties]\nway = \"blind\"\nkey = \"no/where.key\"\n"), "key for ties", "a/no"),
        (format!("{text}\n[abuse]\nsignals = \"none.toml\"\n"), "signals of abuse", "a/none.toml: "),
        (format!("{text}\n[abuse]\nremedies = \"none.toml\"\n"), "policy for remedies", "a/none.toml: "),
        (
            format!("{text}\n[[assets]]\nprovider = \"a.example\"\nhost = \"cdn.example\"\nroots = \"none.pem\"\n"),
            "hosts of files",
            "a/none.pem: ",
        ),
        (text.replace("roots.pem", "none.pem"), "certificate and key for TLS", "a/none.pem: "),
        (admin, "addresses", "an address of its own"),
    ] {
        fs::write(&config, &wrong).unwrap();
        let said = lines(&walk, "WRONG");
        let line = said.iter().find(|line| line.starts_with(&format!("WRONG  {what}: ")));
        assert!(line.is_some_and(|line| line.contains(why)), "{what}: {said:?}");
        let said = walk.refused(run);
        assert!(said.contains(why), "{what}: {said}");
    }
    // A key that the provider makes by itself is made when it runs, and not before.
    fs::write(&config, format!("{text}\n[ties]\nway = \"act-only\"\nkey = \"ties.key\"\n")).unwrap();
    walk.printed(CHECK);
    assert!(!walk.folder.join("a/ties.key").exists());
    // Files that are there, and are not what they should be.
    fs::write(&config, format!("{text}\n[abuse]\nsignals = \"signals.toml\"\nremedies = \"remedies.toml\"\n")).unwrap();
    for (file, content, why) in [
        ("operator.token", "sesame", "operator's token: a/operator.token: not 64 hexadecimal digits"),
        ("issuer.key", "", "issuer of users' certificates: a/issuer.key: not the PEM file it should be"),
        ("issuer.key", &KeyPair::generate().unwrap().serialize_pem(), "issuer of users' certificates: a/issuer.pem: "),
        ("issuer.pem", "", "anchors: a/issuer.pem: not the PEM file it should be"),
        ("signals.toml", "weights = 1", "signals of abuse: a/signals.toml: "),
        ("remedies.toml", "policy = 1", "policy for remedies: a/remedies.toml: "),
    ] {
        let path = walk.folder.join("a").join(file);
        let before = fs::read(&path).unwrap_or_default();
        fs::write(&path, content).unwrap();
        let said = lines(&walk, "WRONG");
        assert!(said.iter().any(|line| line.starts_with(&format!("WRONG  {why}"))), "{why}: {said:?}");
        assert!(!said.iter().any(|line| line.contains("sesame")), "{said:?}");
        fs::write(&path, before).unwrap();
    }
    // A key that is not the certificate's.
    fs::write(&config, &text).unwrap();
    fs::write(walk.folder.join("a/tls.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let said = lines(&walk, "WRONG");
    assert!(said[0].contains("a/tls.key: not the key of the certificate in a/tls.pem"), "{said:?}");
}

#[test]
fn a_certificate_that_others_refuse_is_told_with_the_reason() {
    let walk = set_up("chain");
    let whole = |own: bool, change: &dyn Fn(&mut CertificateParams)| {
        certify(&walk, own, |params| change(params));
        let said = lines(&walk, "WRONG");
        assert!(said.len() == 1, "{said:?}");
        said[0].replace("WRONG  certificate as others see it: a/tls.pem: ", "")
    };
    assert_eq!(whole(false, &|params| params.not_after = date_time_ymd(2021, 3, 4)), "expired on 2021-03-04");
    assert_eq!(whole(false, &|params| params.not_before = date_time_ymd(3021, 3, 4)), "not valid before 3021-03-04");
    let server =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(whole(false, &server), "not for use as a client (extended key usage clientAuth)");
    let client =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(whole(false, &client), "not for use as a server (extended key usage serverAuth)");
    assert_eq!(whole(true, &|_| {}), "from no authority in a/roots.pem, and without a way to one");

    // It ends within two weeks, or not.
    let in_days = |days: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        date_time_ymd(1970, 1, 1) + now + Duration::from_secs(days * 86_400)
    };
    certify(&walk, false, |params| params.not_after = in_days(13));
    walk.printed(CHECK);
    let said = lines(&walk, "WARN");
    assert!(said.len() == 1 && said[0].contains("certificate as others see it: a/tls.pem: ends on "), "{said:?}");
    certify(&walk, false, |params| params.not_after = in_days(16));
    assert_eq!(lines(&walk, "WARN"), Vec::<String>::new());
}

#[test]
fn what_others_can_read_is_told() {
    let walk = set_up("modes");
    walk.printed(CHECK);
    let mode = |file: &str, mode: u32| {
        fs::set_permissions(walk.folder.join("a").join(file), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (file, loose, tight, said) in [
        ("tls.key", 0o644, 0o600, "open to everybody (mode 644, not 600)"),
        ("issuer.key", 0o640, 0o600, "open to its group (mode 640, not 600)"),
        ("operator.token", 0o604, 0o600, "open to everybody (mode 604, not 600)"),
        ("data", 0o755, 0o700, "open to everybody (mode 755, not 700)"),
    ] {
        mode(file, loose);
        assert_eq!(lines(&walk, "WARN"), [format!("WARN   secrets: a/{file}: {said}")]);
        assert!(walk.run(CHECK).status.success(), "it runs with that");
        mode(file, tight);
    }
    assert_eq!(lines(&walk, "WARN"), Vec::<String>::new());
}

#[test]
fn a_configuration_keeps_mode_owner_and_links_when_a_peer_is_added() {
    let walk = set_up("peer-add");
    walk.printed("mimi-provider init --folder b --domain b.example --authority a/authority");
    let (link, real) = (walk.folder.join("a/provider.toml"), walk.folder.join("a/real.toml"));
    fs::rename(&link, &real).unwrap();
    symlink("real.toml", &link).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give files away.
    let given = std::os::unix::fs::chown(&real, Some(1), Some(2)).is_ok();
    let before = fs::read_to_string(&real).unwrap();

    let add = "mimi-provider peer add b.example --config a/provider.toml --anchor";
    for (anchor, said) in [("nowhere.pem", "a/nowhere.pem: No such file"), ("tls.key", "a/tls.key: not the PEM file")] {
        assert!(walk.refused(&format!("{add} {anchor}")).contains(said), "{anchor}");
        assert_eq!(fs::read_to_string(&real).unwrap(), before);
    }
    let again = "mimi-provider peer add a.example --config a/provider.toml --anchor ../b/issuer.pem";
    let said = walk.refused(again);
    assert!(
        said.starts_with("mimi-provider: a/provider.toml: line ") && said.contains("is this provider itself"),
        "{said}"
    );

    let said = walk.printed(&format!("{add} ../b/issuer.pem"));
    assert!(said.starts_with("b.example: added to a/provider.toml; a provider that runs knows it after"), "{said}");
    assert!(fs::read_to_string(&real).unwrap().starts_with(before.trim_end()));
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("real.toml"), "it is a link still");
    let is = fs::metadata(&real).unwrap();
    assert_eq!(is.mode() & 0o7777, 0o640);
    if given {
        assert_eq!((is.uid(), is.gid()), (1, 2));
    }
    let left: Vec<_> = fs::read_dir(walk.folder.join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
    assert_eq!(walk.printed("mimi-provider peer list --config a/provider.toml"), "b.example b.example:443\n");
}

#[test]
fn what_init_cannot_finish_it_takes_back() {
    let walk = Walk::new("init");
    let init = "mimi-provider init --folder a --domain a.example --listen 127.0.0.1:8443 --authority authority";
    fs::create_dir(walk.folder.join("a")).unwrap();
    let leftover = walk.folder.join("a/tls.pem");
    fs::write(&leftover, "mine").unwrap();
    assert_eq!(walk.refused(init), "mimi-provider: a/tls.pem: there already\n");
    let names = |folder: &str| -> Vec<_> {
        fs::read_dir(walk.folder.join(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names("a"), ["tls.pem"]);
    assert_eq!(fs::read_to_string(&leftover).unwrap(), "mine");
    assert!(!walk.folder.join("authority").exists());
    fs::remove_file(&leftover).unwrap();
    walk.printed(init);
    assert!(is_private(&walk.folder.join("a/tls.key")) && is_private(&walk.folder.join("authority/root.key")));
    walk.printed(CHECK);

    // It is in the middle when it finds that it cannot go on: where the authority should be there is a file.
    fs::write(walk.folder.join("file"), "").unwrap();
    let said = walk.refused("mimi-provider init --folder c/d --domain c.example --authority file/authority");
    assert!(said.starts_with("mimi-provider: file"), "{said}");
    assert!(!walk.folder.join("c").exists());
    for address in ["127.0.0.1", "10.1", "::1"] {
        let said = walk.refused(&format!("mimi-provider init --folder e --domain {address}"));
        assert!(!walk.folder.join("e").exists(), "{said}");
    }
    assert!(walk.refused("mimi-provider init --folder e --domain 127.0.0.1").contains("an address is no domain"));
}

#[test]
fn whether_two_providers_can_talk_is_told_with_the_reason() {
    let mut walk = Walk::new("peer-check");
    let [a, b] = walk.addresses;
    walk.printed(&format!("mimi-provider init --folder a --domain a.example --listen {a} --authority authority"));
    walk.printed(&format!("mimi-provider init --folder b --domain b.example --listen {b} --authority authority"));
    let check = "mimi-provider peer check b.example --config a/provider.toml";
    let said = walk.refused(check);
    assert!(said.contains("b.example is none of the peers"), "{said}");
    let port = b.port();
    walk.printed(&format!(
        "mimi-provider peer add b.example --address {b} --port {port} --anchor ../b/issuer.pem --config a/provider.toml"
    ));
    let said = walk.refused(check);
    assert!(said.contains(&format!("b.example at {b}: Connection refused")), "{said}");

    walk.start("mimi-provider run --config b/provider.toml", b);
    let said = walk.refused(check);
    assert!(said.contains("b.example does not talk with a.example: its operator has to add it"), "{said}");
    walk.running.pop().map(|mut running| running.kill().and_then(|()| running.wait()).unwrap()).unwrap();
    let port = a.port();
    walk.printed(&format!(
        "mimi-provider peer add a.example --address {a} --port {port} --anchor ../a/issuer.pem --config b/provider.toml"
    ));
    walk.start("mimi-provider run --config b/provider.toml", b);
    let said = walk.printed(check);
    assert_eq!(
        said,
        format!("good   b.example at {b}: its certificate, a directory of 14 endpoints, and it answers a.example\n")
    );

    // Its certificate is from an authority that is not known here.
    let roots = fs::read(walk.folder.join("a/roots.pem")).unwrap();
    walk.printed("mimi-provider init --folder c --domain a.example");
    let take = |file: &str| fs::copy(walk.folder.join("c").join(file), walk.folder.join("a").join(file)).unwrap();
    let own: Vec<_> = ["tls.pem", "tls.key"].map(|file| fs::read(walk.folder.join("a").join(file)).unwrap()).into();
    for file in ["roots.pem", "tls.pem", "tls.key"] {
        take(file);
    }
    let said = walk.refused(check);
    assert!(
        said.contains(&format!("b.example at {b}: no TLS with it: ")) && said.contains("invalid peer certificate"),
        "{said}"
    );
    // It does not know the authority of ours: we know both.
    let both = [roots.clone(), fs::read(walk.folder.join("c/roots.pem")).unwrap()].concat();
    fs::write(walk.folder.join("a/roots.pem"), both).unwrap();
    let said = walk.refused(check);
    assert!(said.contains("ends the connection: ") && said.contains("received fatal alert"), "{said}");
    // What it will refuse is found before it is asked.
    fs::write(walk.folder.join("a/roots.pem"), roots).unwrap();
    let said = walk.refused(check);
    assert!(said.contains("others will refuse this provider: a/tls.pem: from no authority"), "{said}");
    fs::write(walk.folder.join("a/tls.pem"), &own[0]).unwrap();
    fs::write(walk.folder.join("a/tls.key"), &own[1]).unwrap();
    walk.printed(check);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let walk = set_up("taken");
    let free = walk.addresses[0];
    let blocker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = blocker.local_addr().unwrap();
    let run = "mimi-provider run --config a/provider.toml";
    let said = walk.refused(&format!("{run} --listen {busy}"));
    assert_eq!(said, format!("mimi-provider: listen {busy}: Address already in use (os error 98)\n"));
    let said = walk.refused(&format!("{run} --listen {free} --admin {busy}"));
    assert_eq!(
        said,
        format!("mimi-provider: listen of [admin], or --admin, {busy}: Address already in use (os error 98)\n")
    );
    let output = walk.command(&format!("{run} --listen {free}")).env("MIMI_ADMIN", busy.to_string()).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains(&format!("--admin, {busy}: ")));
}

#[test]
fn a_folder_that_cannot_be_made_is_named_once() {
    let walk = set_up("folder");
    let data = walk.folder.join("a/tls.pem/data");
    let said = walk.refused(&format!("mimi-provider run --config a/provider.toml --data {}", data.display()));
    assert_eq!(said, format!("mimi-provider: {}: Not a directory (os error 20)\n", data.display()));
}

#[test]
fn why_a_database_cannot_be_used_is_told_without_its_secrets() {
    let hba = "local all hush scram-sha-256\nlocal all all trust\n";
    let Some(server) = support::postgres::Postgres::start_with(false, false, &[], &[("pg_hba.conf", hba)], &[]) else {
        return;
    };
    let database = server.create("words");
    let walk = set_up("database");
    let said = |database: &str| {
        let mut status = walk.command("mimi-provider status --config a/provider.toml");
        let output = status.env("MIMI_DATABASE", database).output().unwrap();
        assert!(!output.status.success(), "{database}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("sesame"), "{said}");
        said
    };
    let change = |key: &str, value: &str| -> String {
        let words = database.split(' ').filter(|word| !word.starts_with(&format!("{key}=")));
        words.chain([format!("{key}={value}").as_str(), "password=sesame"]).collect::<Vec<_>>().join(" ")
    };
    let missing = said(&change("dbname", "none"));
    assert_eq!(missing, "mimi-provider: the database: SQLSTATE 3D000, there is no such database\n");
    let role = said(&change("user", "nobody_at_all"));
    assert_eq!(
        role,
        "mimi-provider: the database: SQLSTATE 28000, there is no such role, or the server does not let it in from here\n"
    );
    let password = said(&change("user", "hush"));
    assert_eq!(
        password,
        "mimi-provider: the database: SQLSTATE 28P01, the password is wrong, or there is no such role\n"
    );
    let nobody = said("host=/nowhere dbname=x user=y password=sesame");
    assert!(nobody.contains("cannot be reached: error connecting to server: No such file or directory"), "{nobody}");
    let nobody = said(&format!("host=127.0.0.1 port={} user=y password=sesame", walk.addresses[0].port()));
    assert!(nobody.contains("error connecting to server: Connection refused"), "{nobody}");
    // The file of the password is named, and what stands in the file is not.
    walk.append(
        "a/provider.toml",
        "[database]\npostgres = \"host=/nowhere user=y\"\npassword_file = \"none.password\"\n",
    );
    let said = walk.refused("mimi-provider status --config a/provider.toml");
    assert!(said.contains("a/none.password: No such file or directory"), "{said}");
}

#[test]
fn a_misspelt_variable_is_not_passed_over() {
    let walk = set_up("variables");
    let mut status = walk.command("mimi-provider status --config a/provider.toml");
    let output = status.env("MIMI_LISTNE", "127.0.0.1:1").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "mimi-provider: MIMI_LISTNE: there is no such variable; is MIMI_LISTEN meant?\n");
}

#[test]
fn the_program_says_how_each_command_is_written() {
    let walk = set_up("help");
    let one = walk.printed("mimi-provider account add --help");
    assert!(one.contains("Usage: mimi-provider account add NAME [--display-name TEXT]"), "{one}");
    assert!(one.contains("Example:\n  mimi-provider account add alice") && !one.contains("room list"), "{one}");
    let missing = walk.refused("mimi-provider account add --config a/provider.toml");
    assert!(
        missing.contains("something is missing, or is too much. Usage:\n  mimi-provider account add NAME"),
        "{missing}"
    );
    let group = walk.refused("mimi-provider account");
    assert!(group.contains("account list\n") && group.contains("account delete NAME\n"), "{group}");
}
