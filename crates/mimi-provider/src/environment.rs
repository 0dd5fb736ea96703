//! What variables of the environment say instead of the configuration.

use std::ffi::OsString;

use mimi_provider::Setting;

/// The variable that names the configuration.
pub const CONFIG: &str = "MIMI_CONFIG";

/// Variables that go before the configuration.
const SETTINGS: [(&str, Setting); 6] = [
    ("MIMI_LISTEN", Setting::Listen),
    ("MIMI_ADMIN", Setting::Admin),
    ("MIMI_PORT", Setting::Port),
    ("MIMI_DATA", Setting::Data),
    ("MIMI_REGISTRATION", Setting::Registration),
    ("MIMI_DATABASE", Setting::Database),
];

/// Variables of the tests and tools of this repository, which mean nothing to the program.
const OTHERS: [&str; 4] = ["MIMI_PROVIDER_BIN", "MIMI_TEST_POSTGRES", "MIMI_REQUIRE_CHROMIUM", "MIMI_KEEP_SCREENSHOT"];

/// Why the environment is refused. No value is told: it may be secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    #[error("{0}: there is no such variable; is {1} meant?")]
    Unknown(String, &'static str),
    #[error("{0}: the value is not UTF-8")]
    NotText(String),
}

/// What the environment says, each with the variable that says so.
///
/// # Errors
/// [`EnvironmentError`]: what somebody has set is not passed over because it is misspelt.
pub fn settings(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(Setting, &'static str, String)>, EnvironmentError> {
    let mut said = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if !name.starts_with("MIMI_") || name == CONFIG || OTHERS.contains(&&*name) {
            continue;
        }
        let Some((known, setting)) = SETTINGS.into_iter().find(|(known, _)| *known == name) else {
            return Err(EnvironmentError::Unknown(name.to_string(), nearest(&name)));
        };
        let value = value.into_string().map_err(|_| EnvironmentError::NotText(known.to_owned()))?;
        said.push((setting, known, value));
    }
    Ok(said)
}

/// The variable whose name is most like another one.
fn nearest(name: &str) -> &'static str {
    let all = SETTINGS.into_iter().map(|(known, _)| known).chain([CONFIG]);
    all.min_by_key(|known| steps(name, known)).unwrap_or(CONFIG)
}

/// In how many steps one text becomes another one: by taking a letter away, adding one, or changing it.
fn steps(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (number, letter) in from.chars().enumerate() {
        let mut fresh = vec![number + 1];
        for ((other, above), pair) in to.iter().zip(row.iter().skip(1)).zip(row.windows(2)) {
            let diagonal = pair.first().copied().unwrap_or_default() + usize::from(*other != letter);
            let left = fresh.last().copied().unwrap_or_default();
            fresh.push(diagonal.min(above + 1).min(left + 1));
        }
        row = fresh;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<(Setting, &'static str, String)>, EnvironmentError> {
        settings(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn what_is_misspelt_is_not_passed_over() {
        let said = read(&[("HOME", "/root"), ("MIMI_PORT", "1"), ("MIMI_CONFIG", "a"), ("MIMI_PROVIDER_BIN", "b")]);
        assert_eq!(said, Ok(vec![(Setting::Port, "MIMI_PORT", "1".to_owned())]));
        for (wrong, meant) in [
            ("MIMI_LISTNE", "MIMI_LISTEN"),
            ("MIMI_DB", "MIMI_DATA"),
            ("MIMI_DATABSE", "MIMI_DATABASE"),
            ("MIMI_CONF", "MIMI_CONFIG"),
            ("MIMI_port", "MIMI_PORT"),
            ("MIMI_ADMIN_LISTEN", "MIMI_LISTEN"),
        ] {
            let error = read(&[(wrong, "hush")]).unwrap_err();
            assert_eq!(error.to_string(), format!("{wrong}: there is no such variable; is {meant} meant?"));
        }
        assert_eq!((steps("", "ab"), steps("abc", "abc"), steps("kitten", "sitting")), (2, 0, 3));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_refused() {
        let value = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
        let error = settings([("MIMI_DATA".into(), value)]).unwrap_err();
        assert_eq!(error.to_string(), "MIMI_DATA: the value is not UTF-8");
    }
}
