use std::{net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

/// Which providers this one talks with besides those that are listed, and where it looks for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Federation {
    /// Whether it talks with any provider that shows a certificate of its domain.
    pub(crate) open: bool,
    /// The port of the directory of a provider that is not listed.
    pub(crate) port: u16,
    /// Networks that a provider's name may lead to although they are not of the public internet.
    pub(crate) networks: Vec<Network>,
}

impl Default for Federation {
    fn default() -> Self {
        Self { open: false, port: 443, networks: Vec::new() }
    }
}

/// An address and the number of bits that count: `10.1.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a network is an address, a slash and a number of bits";
        let (address, bits) = text.split_once('/').ok_or(WRONG)?;
        let (address, bits): (IpAddr, u8) = (address.parse().map_err(|_| WRONG)?, bits.parse().map_err(|_| WRONG)?);
        // Addresses are compared in the form that they have on the wire, so that nothing would ever be in it.
        if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) && bits >= 96 {
            return Err("IPv4 addresses written as IPv6: write the network as one of IPv4, such as 10.0.0.0/8");
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most { Err(WRONG) } else { Ok(Self { address, bits }) }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        let holds =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(holds("10.1.0.0/16", "10.1.255.255") && !holds("10.1.0.0/16", "10.2.0.0"));
        assert!(holds("10.1.2.3/32", "10.1.2.3") && !holds("10.1.2.3/32", "10.1.2.2"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00:1::/32", "fd00:1:2::3") && !holds("fd00:1::/32", "fd00:2::"));
        assert!(holds("::/0", "fe80::1") && holds("::1/128", "::1") && !holds("::1/128", "::2"));
        let mapped = "::ffff:10.0.0.0/104".parse::<Network>().unwrap_err();
        assert!(mapped.contains("as one of IPv4"), "{mapped}");
        for wrong in ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/x", "10.0.0.0/-1", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong:?}");
        }
    }
}
