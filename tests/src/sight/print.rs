use std::fmt;

use super::{Cell, Expectation, Sight, Verdict};

/// The table, what each provider met by name, and the open differences.
impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.canaries.iter().map(|canary| canary.name.chars().count()).max().unwrap_or_default();
        write!(f, "{:width$}", "")?;
        for provider in &self.providers {
            write!(f, "  {provider:<38}")?;
        }
        writeln!(f)?;
        for canary in &self.canaries {
            write!(f, "{:width$}", canary.name)?;
            for provider in &self.providers {
                write!(f, "  {:<38}", self.text(provider, &canary.name))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "(R received, S stored, L logged; in brackets where it was first seen)\n")?;
        for provider in &self.providers {
            let names = self.names(provider);
            let octets = self.octets.get(provider).copied().unwrap_or_default();
            writeln!(
                f,
                "{provider}: {} octets searched; pseudonyms {}, accounts {}, rooms {}, domains {}",
                crate::ladder::thousands(octets),
                names.pseudonyms.len(),
                names.accounts.len(),
                names.rooms.len(),
                names.domains.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            )?;
            for name in names.pseudonyms.iter().chain(&names.accounts).chain(&names.rooms) {
                writeln!(f, "    {name}")?;
            }
        }
        let open = self.open_differences().unwrap_or_default();
        if !open.is_empty() {
            writeln!(f, "\nOpen differences from the draft:")?;
        }
        open.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Sight {
    fn text(&self, provider: &str, canary: &str) -> String {
        let Cell { received, stored, logged, first } = self.cell(provider, canary);
        let letter = |seen: bool, letter| if seen { letter } else { '.' };
        let seen: String = [letter(received, 'R'), letter(stored, 'S'), letter(logged, 'L')].iter().collect();
        let verdict = match self.verdict(provider, canary) {
            Ok(Verdict::Ok) => "ok",
            Ok(Verdict::Open) => "open",
            Ok(Verdict::Leak) => "LEAK",
            Ok(Verdict::NotSeen) => "NOT SEEN",
            Err(_) => "?",
        };
        let why = match (first, self.expectation(provider, canary)) {
            (Some(first), _) => format!(" [{first}]"),
            (None, Ok(Expectation::Forbidden(section))) => format!(" ({section})"),
            _ => String::new(),
        };
        format!("{seen} {verdict}{why}")
    }
}
