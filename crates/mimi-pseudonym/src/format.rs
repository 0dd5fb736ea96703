use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A format in which an identity is disclosed (draft-mahy-mimi-pseudonyms-00, sections 4.1 to 4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DisclosureFormat {
    /// An X.509 certificate for the leaf's key, which shows all it has.
    #[default]
    X509,
    /// An SD-JWT (RFC 9901).
    SdJwt,
    /// An SD-CWT (draft-ietf-spice-sd-cwt).
    SdCwt,
}

/// A word that names no format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a format is x509, sd-jwt or sd-cwt")]
pub struct FormatError;

impl DisclosureFormat {
    /// Every format there is.
    pub const ALL: [Self; 3] = [Self::X509, Self::SdJwt, Self::SdCwt];

    /// The name: `x509`, `sd-jwt` or `sd-cwt`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::SdJwt => "sd-jwt",
            Self::SdCwt => "sd-cwt",
        }
    }
}

impl fmt::Display for DisclosureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DisclosureFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(FormatError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for format in DisclosureFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
        }
        for wrong in ["", "X509", "sd_jwt", "jwt"] {
            assert_eq!(wrong.parse::<DisclosureFormat>(), Err(FormatError));
        }
    }
}
