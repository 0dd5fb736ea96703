//! The providers of the abuse scenario: a hub, and for each way of tying pseudonyms to accounts a home of spammers.

use std::fs;

use anyhow::{Context, Result};

use crate::fixture::Site;

/// The hub of all rooms.
pub(super) const HUB: &str = "a.example";

/// A provider at which a spammer has an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) domain: &'static str,
    /// The way of tying, as it stands in the tables.
    pub(super) way: Way,
}

/// How pseudonyms are tied to accounts (`docs/profile-ties.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// Direct, and each account has two pseudonyms a period.
    Quota,
    BreakGlass,
    ActOnly,
    Blind,
    Score,
}

/// Every home, in the order of the tables' columns.
pub(super) const HOMES: [Home; 6] = [
    Home { domain: "b.example", way: Way::Direct },
    Home { domain: "c.example", way: Way::Quota },
    Home { domain: "glass.example", way: Way::BreakGlass },
    Home { domain: "act.example", way: Way::ActOnly },
    Home { domain: "blind.example", way: Way::Blind },
    Home { domain: "score.example", way: Way::Score },
];

/// Where nobody sends spam, and some report it: of each provider's reporters three count.
pub(super) const BYSTANDERS: &str = "d.example";

/// All providers.
pub(super) fn domains() -> Vec<&'static str> {
    std::iter::once(HUB).chain(HOMES.iter().map(|home| home.domain)).chain([BYSTANDERS]).collect()
}

impl Way {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Quota => "quota",
            Self::BreakGlass => "break-glass",
            Self::ActOnly => "act-only",
            Self::Blind => "blind",
            Self::Score => "score",
        }
    }

    /// Whether a device of the account holds the pseudonyms itself.
    pub(super) const fn is_direct(self) -> bool {
        matches!(self, Self::Direct | Self::Quota)
    }

    fn ties(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Quota => "[ties]\npseudonyms = 2\nperiod_days = 30\n",
            Self::BreakGlass => "[ties]\nway = \"break-glass\"\nkey = \"operators.key\"\n",
            Self::ActOnly => "[ties]\nway = \"act-only\"\nkey = \"act.key\"\n",
            Self::Blind => "[ties]\nway = \"blind\"\nkey = \"tokens.key\"\n",
            Self::Score => "[ties]\nway = \"score\"\nkey = \"operators.key\"\nlists = \"opening/operators.key\"\n",
        }
    }
}

/// What the hub's operator has added to the table of signals that is built in: with it a hub never asks to delete an account.
const STEP: &str = "\n[[steps]]\nscore = 11.5\nremedy = \"ask_delete\"\nrelated = true\n";

/// How a home's operator believes hubs: one request suspends, two remove, three delete, and all of it soon.
const REMEDIES: &str = "batch_hours = 1\nbudget_per_day = 100\nhalf_life_hours = 720\nsuspend = 0.75\nremove = 1.75\n\
                        delete = 2.75\nrelated = true\nwindow_days = 1\nothers = { weight = 1.0, count = 3 }\n";

/// Writes what the operator of the hub decides about signals, and of a home about remedies and ties.
pub(super) fn configure(site: &Site) -> Result<()> {
    let folder = site.config().parent().context("a folder")?.to_owned();
    let mut text = fs::read_to_string(site.config())?;
    if site.domain().as_str() == HUB {
        fs::write(folder.join("signals.toml"), format!("{}{STEP}", mimi_abuse::signal::Table::built_in()))?;
        text += "\n[abuse]\nsignals = \"signals.toml\"\n";
    } else if site.domain().as_str() != BYSTANDERS {
        let home = HOMES.iter().find(|home| home.domain == site.domain().as_str()).context("a home")?;
        fs::write(folder.join("remedies.toml"), REMEDIES)?;
        text += &format!("\n[abuse]\nremedies = \"remedies.toml\"\n\n{}", home.way.ties());
    }
    Ok(fs::write(site.config(), text)?)
}
