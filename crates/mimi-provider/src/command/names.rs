use std::path::PathBuf;

use mimi_abuse::remedy::HomeRemedy;

/// What is done about an account with all its pseudonyms, where operators have to find them together.
#[derive(Debug, PartialEq, Eq)]
pub enum Names {
    Request { name: String, requester: String, reason: String },
    Ask { name: String, position: u64, seen: u64, file: PathBuf },
    Act { request: PathBuf, remedy: Option<HomeRemedy>, shares: Vec<PathBuf> },
}

impl Names {
    pub(super) fn parse(words: &[&str]) -> Result<Self, lexopt::Error> {
        match words {
            ["request", name, requester, reason] => Ok(Self::Request {
                name: (*name).to_owned(),
                requester: (*requester).to_owned(),
                reason: (*reason).to_owned(),
            }),
            ["ask", name, position, seen, file] => Ok(Self::Ask {
                name: (*name).to_owned(),
                position: position.parse().map_err(|_| format!("{position}: no position"))?,
                seen: seen.parse().map_err(|_| format!("{seen}: no number of entries"))?,
                file: (*file).into(),
            }),
            ["act", request, what, shares @ ..] if !shares.is_empty() => {
                let remedy = match *what {
                    "lift" => None,
                    what => Some(
                        HomeRemedy::from_name(what)
                            .ok_or_else(|| format!("{what}: suspend, remove, delete or lift"))?,
                    ),
                };
                let shares = shares.iter().map(PathBuf::from).collect();
                Ok(Self::Act { request: (*request).into(), remedy, shares })
            }
            other => Err(super::help::wrong(&[&["names"], other].concat()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_refused() {
        let read = |text: &str| Names::parse(&text.split(' ').collect::<Vec<_>>());
        let (name, file) = ("alice".to_owned(), PathBuf::from("file"));
        let request = Names::Request { name: name.clone(), requester: "desk".into(), reason: "spam".into() };
        assert_eq!(read("request alice desk spam").unwrap(), request);
        assert_eq!(read("ask alice 3 2 file").unwrap(), Names::Ask { name, position: 3, seen: 2, file: file.clone() });
        let shares = vec![PathBuf::from("a"), PathBuf::from("b")];
        let act = |remedy| Names::Act { request: file.clone(), remedy, shares: shares.clone() };
        assert_eq!(read("act file delete a b").unwrap(), act(Some(HomeRemedy::Delete)));
        assert_eq!(read("act file lift a b").unwrap(), act(None));
        for wrong in
            ["act file delete", "act file forgive a", "ask alice x 2 f", "ask alice 1 y f", "request alice", ""]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
