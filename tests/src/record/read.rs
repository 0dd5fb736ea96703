use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

/// A line of a recording: an exchange as one provider had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it ended: milliseconds since 1970 by the machine's clock.
    pub at_ms: u64,
    /// Whether the provider was asked; it asked otherwise.
    pub server: bool,
    /// The other side: a provider's domain, `client:` and a tag, or `client`.
    pub peer: String,
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The body of the request.
    pub request: Vec<u8>,
    /// The body of the answer.
    pub response: Vec<u8>,
}

/// Reads a recording. A line that was torn when its process was killed is passed over.
///
/// # Errors
/// If the file cannot be read, or a whole line is not what it should be.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        // What is left of a torn line has the next one on its heels.
        let start = line.rfind("{\"at_ms\"").unwrap_or_default();
        let Ok(value) = serde_json::from_str(line.get(start..).unwrap_or_default()) else { continue };
        lines.push(exchange(&value).with_context(|| format!("line {} of the recording", at + 1))?);
    }
    Ok(lines)
}

fn exchange(value: &Value) -> Result<Line> {
    let field = |name: &'static str| value.get(name).ok_or_else(|| anyhow!("{name} is missing"));
    let text = |name| field(name)?.as_str().ok_or_else(|| anyhow!("{name} is no text"));
    let number = |name| field(name)?.as_u64().ok_or_else(|| anyhow!("{name} is no number"));
    let octets = |name| hex_octets(text(name)?).ok_or_else(|| anyhow!("{name} is not hexadecimal"));
    let server = match text("side")? {
        "server" => true,
        "client" => false,
        _ => return Err(anyhow!("side is neither server nor client")),
    };
    Ok(Line {
        at_ms: number("at_ms")?,
        server,
        peer: text("peer")?.to_owned(),
        method: text("method")?.to_owned(),
        path: text("path")?.to_owned(),
        status: u16::try_from(number("status")?)?,
        request: octets("request")?,
        response: octets("response")?,
    })
}

fn hex_octets(text: &str) -> Option<Vec<u8>> {
    let mut digits =
        text.bytes().map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    let mut octets = Vec::with_capacity(text.len() / 2);
    while let Some(high) = digits.next() {
        octets.push(high? * 16 + digits.next()??);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"at_ms":5,"endpoint":"notify","method":"POST","path":"/v1/notify/x","peer":"a.example","request":"00ff","response":"","seq":0,"side":"server","status":201}"#;

    #[test]
    fn a_line_is_read() {
        let lines = parse(&format!("{LINE}\n\n{LINE}\n")).unwrap();
        assert_eq!(lines.len(), 2);
        let line = lines.first().unwrap();
        assert_eq!((line.at_ms, line.server, line.status), (5, true, 201));
        assert_eq!((line.peer.as_str(), line.request.as_slice()), ("a.example", &[0, 255][..]));
    }

    #[test]
    fn a_torn_line_loses_only_itself() {
        let torn = LINE.split_at(40).0;
        assert_eq!(parse(&format!("{LINE}\n{torn}{LINE}\n{torn}")).unwrap().len(), 2);
    }

    #[test]
    fn what_is_whole_and_wrong_is_an_error() {
        for (from, to, why) in [
            ("\"server\"", "\"both\"", "side is neither"),
            ("00ff", "00f", "request is not hexadecimal"),
            ("00ff", "00fg", "request is not hexadecimal"),
            ("\"path\"", "\"way\"", "path is missing"),
            ("201", "\"201\"", "status is no number"),
        ] {
            let error = format!("{:#}", parse(&LINE.replace(from, to)).unwrap_err());
            assert!(error.starts_with("line 1 of the recording: ") && error.contains(why), "{error}");
        }
    }
}
