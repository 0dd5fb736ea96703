use std::collections::{BTreeMap, BTreeSet};

use mimi_pseudonym::{AnchorsError, Domain, TrustAnchor, TrustAnchors};

use crate::{IssuerId, TrustStore, trust::Anchor};

impl TrustStore {
    /// What counts in a room that names these anchors: an anchor for a domain if the room names it for the domain
    /// *and* this store trusts it for the domain. In a room that names none, the store counts as it is.
    ///
    /// The room narrows and never widens: its anchors were chosen by whoever made it, who must not be able to make a
    /// participant believe a stranger. And a participant who trusts more than the room names must not believe what the
    /// others would not: the issuer is to be known to all of them (draft-mahy-mimi-pseudonyms-00, section 4).
    ///
    /// Anchors are the same if their keys and subjects are; so a renewed certificate of the same authority counts, on
    /// either side. A certificate in the room's list that is no anchor counts for nothing.
    #[must_use]
    pub fn for_room(&self, room: &TrustAnchors) -> Self {
        let named = by_issuer(room);
        let anchors = self.anchors.iter().filter_map(|(der, anchor)| {
            let named = named.get(&anchor.id())?;
            let domains: BTreeSet<Domain> = anchor.domains.intersection(named).cloned().collect();
            let empty = domains.is_empty();
            let mut limited = anchor.clone();
            limited.domains = domains;
            (!empty).then(|| (der.clone(), limited))
        });
        Self { anchors: anchors.collect() }
    }

    /// The anchors of this store for the domains that are wanted, for the creator of a room to put into it.
    ///
    /// # Errors
    /// [`AnchorsError`] if the bounds of such a list were smaller than those of a store: never.
    pub fn anchors_for(&self, wanted: impl Fn(&Domain) -> bool) -> Result<TrustAnchors, AnchorsError> {
        let anchors = self.anchors.iter().map(|(der, anchor)| TrustAnchor {
            certificate: der.clone(),
            domains: anchor.domains.iter().filter(|domain| wanted(domain)).cloned().collect(),
        });
        TrustAnchors::new(anchors.filter(|anchor| !anchor.domains.is_empty()))
    }

    /// What a room names and this store does not trust: its anchors with those of their domains for which they count
    /// for nothing here. What participants of these domains disclose will not be believed.
    pub fn untrusted(&self, room: &TrustAnchors) -> Vec<TrustAnchor> {
        let mut trusted: BTreeMap<IssuerId, BTreeSet<&Domain>> = BTreeMap::new();
        for anchor in self.anchors.values() {
            trusted.entry(anchor.id()).or_default().extend(&anchor.domains);
        }
        let untrusted = room.iter().map(|(der, domains)| {
            let known = Anchor::read(der).ok().and_then(|anchor| trusted.get(&anchor.id()));
            let stays = |domain: &&Domain| known.is_none_or(|known| !known.contains(domain));
            TrustAnchor { certificate: der.to_vec(), domains: domains.iter().filter(stays).cloned().collect() }
        });
        untrusted.filter(|anchor| !anchor.domains.is_empty()).collect()
    }
}

/// The domains of each issuer in a room's list. Two certificates of one issuer are one.
fn by_issuer(room: &TrustAnchors) -> BTreeMap<IssuerId, BTreeSet<Domain>> {
    let mut named: BTreeMap<IssuerId, BTreeSet<Domain>> = BTreeMap::new();
    for (der, domains) in room.iter() {
        if let Ok(anchor) = Anchor::read(der) {
            named.entry(anchor.id()).or_default().extend(domains.iter().cloned());
        }
    }
    named
}
