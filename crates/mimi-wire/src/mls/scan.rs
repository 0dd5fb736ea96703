//! Reads the structures of RFC 9420 in one pass, and keeps only what callers ask for.

use mimi_pseudonym::{DecodeError, Reader};

use super::Proposed;

pub(super) type Scan<T = ()> = Result<T, DecodeError>;

fn unknown<T>(field: &'static str, value: impl Into<u64>) -> Scan<T> {
    Err(DecodeError::Value { field, value: value.into() })
}

/// `T x<V>` where each element is read by `element`.
pub(super) fn each(reader: &mut Reader<'_>, element: impl Fn(&mut Reader<'_>) -> Scan) -> Scan {
    let mut inner = Reader::new(reader.vector()?);
    while !inner.is_empty() {
        element(&mut inner)?;
    }
    Ok(())
}

fn opaque(reader: &mut Reader<'_>) -> Scan {
    reader.vector().map(drop)
}

pub(super) fn u16s(reader: &mut Reader<'_>) -> Scan {
    each(reader, |code| code.u16().map(drop))
}

/// `ProtocolVersion`: only mls10 there is.
pub(super) fn version(reader: &mut Reader<'_>) -> Scan {
    match reader.u16()? {
        1 => Ok(()),
        value => unknown("version", value),
    }
}

/// `Credential` (section 5.3); gives its type.
pub(super) fn credential(reader: &mut Reader<'_>) -> Scan<u16> {
    let credential_type = reader.u16()?;
    match credential_type {
        1 => opaque(reader)?,
        2 => each(reader, opaque)?,
        value => return unknown("credential_type", value),
    }
    Ok(credential_type)
}

/// `Capabilities` (section 7.2).
pub(super) fn capabilities(reader: &mut Reader<'_>) -> Scan {
    (0..5).try_for_each(|_| u16s(reader))
}

/// `Extension extensions<V>` (section 13); gives their types. No type may stand twice.
pub(super) fn extensions(reader: &mut Reader<'_>) -> Scan<Vec<u16>> {
    let mut inner = Reader::new(reader.vector()?);
    let mut types = Vec::new();
    while !inner.is_empty() {
        types.push(inner.u16()?);
        inner.vector()?;
    }
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    if types.len() < count {
        return Err(DecodeError::Rule { field: "extensions", rule: "an extension type stands twice" });
    }
    Ok(types)
}

/// What stands in a leaf node.
pub(super) struct LeafNode<'a> {
    pub(super) signature_key: &'a [u8],
    pub(super) credential: &'a [u8],
    pub(super) capabilities: &'a [u8],
    /// Only in the leaf node of a key package.
    pub(super) lifetime: Option<(u64, u64)>,
}

/// `LeafNode` (section 7.2).
pub(super) fn leaf_node<'a>(reader: &mut Reader<'a>) -> Scan<LeafNode<'a>> {
    reader.vector()?;
    let signature_key = reader.vector()?;
    let before = reader.rest();
    credential(reader)?;
    let credential = Reader::new(before).take(before.len() - reader.rest().len())?;
    let before = reader.rest();
    capabilities(reader)?;
    let capabilities = Reader::new(before).take(before.len() - reader.rest().len())?;
    let lifetime = match reader.u8()? {
        1 => Some((reader.u64()?, reader.u64()?)),
        2 => None,
        3 => {
            reader.vector()?;
            None
        }
        value => return unknown("leaf_node_source", value),
    };
    extensions(reader)?;
    reader.vector()?;
    Ok(LeafNode { signature_key, credential, capabilities, lifetime })
}

/// What stands in a key package.
pub(super) struct KeyPackage<'a> {
    pub(super) cipher_suite: u16,
    pub(super) leaf: LeafNode<'a>,
    pub(super) lifetime: (u64, u64),
    pub(super) extensions: Vec<u16>,
}

/// `KeyPackage` (section 10).
pub(super) fn key_package<'a>(reader: &mut Reader<'a>) -> Scan<KeyPackage<'a>> {
    version(reader)?;
    let cipher_suite = reader.u16()?;
    reader.vector()?;
    let leaf = leaf_node(reader)?;
    let lifetime = leaf
        .lifetime
        .ok_or(DecodeError::Rule { field: "leaf_node_source", rule: "not key_package in a key package" })?;
    let extensions = extensions(reader)?;
    reader.vector()?;
    Ok(KeyPackage { cipher_suite, leaf, lifetime, extensions })
}

/// `HPKECiphertext` (section 7.6).
pub(super) fn hpke_ciphertext(reader: &mut Reader<'_>) -> Scan {
    reader.vector()?;
    opaque(reader)
}

fn update_path<'a>(reader: &mut Reader<'a>) -> Scan<LeafNode<'a>> {
    let leaf = leaf_node(reader)?;
    each(reader, |node| {
        node.vector()?;
        each(node, hpke_ciphertext)
    })?;
    Ok(leaf)
}

fn pre_shared_key_id(reader: &mut Reader<'_>) -> Scan {
    match reader.u8()? {
        1 => opaque(reader)?,
        2 => {
            match reader.u8()? {
                1..=3 => {}
                value => return unknown("usage", value),
            }
            reader.vector()?;
            reader.u64()?;
        }
        // draft-ietf-mls-extensions, section 4.5
        3 => {
            reader.u16()?;
            reader.vector()?;
        }
        value => return unknown("psktype", value),
    }
    opaque(reader)
}

/// `Proposal` (section 12.1, and draft-ietf-mls-extensions for 8 to 10).
pub(super) fn proposal(reader: &mut Reader<'_>) -> Scan<Proposed> {
    match reader.u16()? {
        1 => key_package(reader).map(drop)?,
        2 => leaf_node(reader).map(drop)?,
        3 => return reader.u32().map(Proposed::Remove),
        4 => pre_shared_key_id(reader)?,
        5 => {
            reader.vector()?;
            version(reader)?;
            reader.u16()?;
            extensions(reader).map(drop)?;
        }
        6 => opaque(reader)?,
        7 => extensions(reader).map(drop)?,
        8 => {
            let component = reader.u16()?;
            match reader.u8()? {
                1 => {
                    let update = reader.vector()?.to_vec();
                    return Ok(Proposed::AppDataUpdate { component, update });
                }
                2 => {}
                value => return unknown("op", value),
            }
        }
        9 => {
            reader.u16()?;
            opaque(reader)?;
        }
        10 => return Ok(Proposed::SelfRemove),
        value => return unknown("proposal_type", value),
    }
    Ok(Proposed::Other)
}

/// `Commit` (section 12.4); gives the leaf node of its path, if it has one.
pub(super) fn commit<'a>(reader: &mut Reader<'a>) -> Scan<Option<LeafNode<'a>>> {
    each(reader, |entry| match entry.u8()? {
        1 => proposal(entry).map(drop),
        2 => opaque(entry),
        value => unknown("proposal_or_ref_type", value),
    })?;
    if reader.flag("optional")? { update_path(reader).map(Some) } else { Ok(None) }
}

/// What stands in a group info.
pub(super) struct GroupInfo<'a> {
    pub(super) cipher_suite: u16,
    pub(super) group_id: &'a [u8],
    pub(super) epoch: u64,
    pub(super) extension_types: Vec<u16>,
}

/// `GroupInfo` (section 12.4.3).
pub(super) fn group_info<'a>(reader: &mut Reader<'a>) -> Scan<GroupInfo<'a>> {
    version(reader)?;
    let cipher_suite = reader.u16()?;
    let group_id = reader.vector()?;
    let epoch = reader.u64()?;
    reader.vector()?;
    reader.vector()?;
    extensions(reader)?;
    let extension_types = extensions(reader)?;
    reader.vector()?;
    reader.u32()?;
    reader.vector()?;
    Ok(GroupInfo { cipher_suite, group_id, epoch, extension_types })
}

/// What stands in a welcome.
pub(super) struct Welcome<'a> {
    pub(super) cipher_suite: u16,
    pub(super) new_members: Vec<&'a [u8]>,
}

/// `Welcome` (section 12.4.3.1).
pub(super) fn welcome<'a>(reader: &mut Reader<'a>) -> Scan<Welcome<'a>> {
    let cipher_suite = reader.u16()?;
    let mut secrets = Reader::new(reader.vector()?);
    let mut new_members = Vec::new();
    while !secrets.is_empty() {
        new_members.push(secrets.vector()?);
        hpke_ciphertext(&mut secrets)?;
    }
    reader.vector()?;
    Ok(Welcome { cipher_suite, new_members })
}

/// `optional<Node> ratchet_tree<V>` (section 12.4.3.3): leaves at even places, parents at odd ones, and no blank at
/// the end.
pub(super) fn ratchet_tree(reader: &mut Reader<'_>) -> Scan<usize> {
    let mut nodes = Reader::new(reader.vector()?);
    let (mut count, mut last) = (0_usize, false);
    while !nodes.is_empty() {
        last = nodes.flag("optional")?;
        if last {
            match (nodes.u8()?, count % 2) {
                (1, 0) => leaf_node(&mut nodes).map(drop)?,
                (2, 1) => {
                    nodes.vector()?;
                    nodes.vector()?;
                    each(&mut nodes, |leaf| leaf.u32().map(drop))?;
                }
                (1 | 2, _) => return Err(DecodeError::Rule { field: "ratchet_tree", rule: "a node is out of place" }),
                (value, _) => return unknown("node_type", value),
            }
        }
        count += 1;
    }
    if last { Ok(count) } else { Err(DecodeError::Rule { field: "ratchet_tree", rule: "empty, or blank at its end" }) }
}
