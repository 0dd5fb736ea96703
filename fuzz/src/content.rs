//! What messages carry: bundles, and presentations in a room as a receiver verifies them.

use mimi_disclosure::{Bundle, DisclosurePolicy, UnverifiedPresentation};
use mimi_pseudonym::{ClaimName, Content, Wire};

use crate::{
    chunks, sd_cwt, sd_jwt,
    world::{ALICE, NOW, WORLD},
};

/// A content.
const CONTENT: u8 = 0;
/// A media type and a body.
const PLAIN: u8 = 1;
/// The parts of an SD-JWT.
const SD_JWT: u8 = 2;
/// The parts of an SD-CWT.
const SD_CWT: u8 = 3;

pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let of = |media_type: &str, body: Vec<u8>| present(&Content { media_type: media_type.to_owned(), body });
    match kind % 4 {
        CONTENT => {
            let Ok(content) = Content::decode(rest) else { return false };
            assert_eq!(Content::decode(&content.encode()).as_ref(), Ok(&content));
            read(&content)
        }
        PLAIN => match chunks::split(rest, 2).as_slice() {
            [media_type, body] => match str::from_utf8(media_type) {
                Ok(media_type) => read(&Content { media_type: media_type.to_owned(), body: body.to_vec() }),
                Err(_) => false,
            },
            _ => false,
        },
        SD_JWT => match sd_jwt::presented(&chunks::split(rest, 24)) {
            Some(token) => of(mimi_disclosure::SD_JWT, token.into_bytes()),
            None => false,
        },
        _ => match sd_cwt::presented(&chunks::split(rest, 24)) {
            Some(token) => of(mimi_disclosure::SD_CWT, token),
            None => false,
        },
    }
}

fn read(content: &Content) -> bool {
    match Bundle::try_from(content) {
        Ok(bundle) => {
            let again = Content::from(bundle.clone());
            assert_eq!(Bundle::try_from(&again).as_ref(), Ok(&bundle));
            // A bundle is never inside another one.
            assert!(bundle.presentations().iter().all(|inner| Bundle::try_from(inner).is_err()));
            bundle.presentations().iter().for_each(|inner| {
                present(inner);
            });
            true
        }
        Err(_) => present(content),
    }
}

fn present(content: &Content) -> bool {
    let Ok(presentation) = UnverifiedPresentation::try_from(content) else { return false };
    let others = ClaimName::ALL.into_iter().filter(|name| *name != ClaimName::UserUri);
    let policy = DisclosurePolicy::new([ClaimName::UserUri], others, []).expect("a policy");
    let verified = presentation.clone().verify(&WORLD.context, &policy, &WORLD.trust, NOW);
    let disclosure = match verified {
        Ok(disclosure) => disclosure,
        Err(error) => {
            let _ = error.obligation();
            // Nothing of an identity is in what may be logged.
            let said = format!("{error} {error:?} {presentation:?}");
            assert!(!said.contains("alice") && !said.contains("Alice"), "{said}");
            return false;
        }
    };
    assert_eq!(policy.check(disclosure.claims()), Ok(()));
    let user = disclosure.user().expect("the policy requires the account");
    assert!(!user.is_pseudonym());
    assert_eq!((user.domain(), disclosure.sender()), (WORLD.context.sender().domain(), WORLD.context.sender()));
    true
}

pub fn seeds() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let mut body = mimi_pseudonym::Writer::default();
    body.u16(2);
    body.list(world.identity.certificates());
    let identity = Content { media_type: mimi_disclosure::MLS_CREDENTIAL.to_owned(), body: body.into_octets() };
    let reply = Some(world.context.sender().clone());
    let bundle = Bundle::new(vec![identity.clone()], reply, vec![vec![1, 2, 3]], "hi").expect("a bundle");
    let mut seeds = Vec::new();
    for content in [identity, bundle.into()] {
        seeds.push([&[CONTENT], content.encode().as_slice()].concat());
        seeds.push(chunks::join(PLAIN, &[content.media_type.into_bytes(), content.body]));
    }
    let subject = format!(r#"["s","sub","{ALICE}"]"#);
    let jwt = sd_jwt::parts(
        r#","_sd":["$a","$b","$c"]"#,
        &[&subject, r#"["t","name","Alice Smith"]"#, r#"["u","age_over_18",true]"#],
    );
    seeds.push(chunks::join(SD_JWT, &jwt));
    let text = |text: &str| [&[0x78, text.len() as u8], text.as_bytes()].concat();
    let age = (text("age_over_18"), vec![0xf5]);
    let cwt = sd_cwt::parts(&[(vec![2], text(ALICE)), (text("name"), text("Alice Smith")), age], &[]);
    seeds.push(chunks::join(SD_CWT, &cwt));
    seeds
}
