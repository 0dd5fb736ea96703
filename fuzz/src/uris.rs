//! Texts from outside: URIs, links, directories and problem documents. What is read prints so that it is read alike.

use mimi_link::RoomLink;
use mimi_pseudonym::{AnyUri, ClientUri, Domain, GroupUri, ProviderUri, RoomUri, UserUri};
use mimi_wire::{
    Directory, ProblemDocument,
    directory::{percent_decode, percent_encode},
};

macro_rules! same {
    ($text:expr, $type:ty, $print:expr) => {
        match $text.parse::<$type>() {
            Ok(value) => {
                let printed: String = $print(&value);
                assert_eq!(printed.parse::<$type>().as_ref(), Ok(&value), "{printed}");
                true
            }
            Err(_) => false,
        }
    };
}

pub fn run(data: &[u8]) -> bool {
    let mut read = false;
    if let Ok(directory) = Directory::from_json(data) {
        assert_eq!(Directory::from_json(directory.to_json().as_bytes()).as_ref(), Ok(&directory));
        read = true;
    }
    if let Ok(problem) = ProblemDocument::from_json(data) {
        assert_eq!(ProblemDocument::from_json(problem.to_json().as_bytes()).as_ref(), Ok(&problem));
        read = true;
    }
    let Ok(text) = str::from_utf8(data) else { return read };
    assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
    let _ = percent_decode(text);

    let kinds = [
        same!(text, UserUri, ToString::to_string),
        same!(text, ClientUri, ToString::to_string),
        same!(text, RoomUri, ToString::to_string),
        same!(text, GroupUri, ToString::to_string),
    ];
    assert!(kinds.iter().filter(|kind| **kind).count() <= 1, "one text is two kinds of URI");
    assert_eq!(text.parse::<AnyUri>().is_ok(), kinds.contains(&true));
    read |= kinds.contains(&true);
    if let Ok(room) = text.parse::<RoomUri>() {
        assert_eq!(room.group().room(), room);
    }
    read |= same!(text, ProviderUri, ToString::to_string);
    read |= same!(text, Domain, |domain: &Domain| domain.as_str().to_owned());
    read |= same!(text, RoomLink, |link: &RoomLink| match link {
        RoomLink::Join(link) => link.reveal(),
        RoomLink::Knock(link) => link.to_string(),
        _ => unreachable!("another kind of link"),
    });
    read
}

pub fn seeds() -> Vec<Vec<u8>> {
    let hub = mimi_link::HubFingerprint::from_bytes([5; 32]);
    let room: RoomUri = "mimi://hub.example/r/clubhouse".parse().expect("a room");
    let code = mimi_link::JoinCode::from_bytes(vec![6; 16]).expect("a code");
    let join = mimi_link::JoinLink { room: room.clone(), code, hub, role: None };
    let with_role = mimi_link::JoinLink { role: Some(3), ..join.clone() };
    let knock = mimi_link::KnockLink { room, hub };
    let directory = Directory::with_base("https://hub.example/mimi").expect("a directory");
    let texts = [
        "mimi://a.example/u/alice".to_owned(),
        "mimi://a.example/u/~07070707-0707-0707-0707-070707070707".to_owned(),
        "mimi://a.example/d/ClientA1".to_owned(),
        "mimi://hub.example/r/clubhouse".to_owned(),
        "mimi://hub.example/g/clubhouse".to_owned(),
        "mimi://a.example".to_owned(),
        "xn--mller-kva.example".to_owned(),
        join.reveal(),
        with_role.reveal(),
        knock.to_string(),
        directory.to_json(),
        mimi_wire::Problem::MethodNotAllowed.document().to_json(),
    ];
    texts.map(String::into_bytes).to_vec()
}
