use anyhow::Result;

use super::Findings;
use crate::{
    rust::{import_name, imports, public_items},
    workspace::Workspace,
};

/// The one crate that may name it.
const HOME: &str = "mimi-mls";
const FOREIGN: &str = "openmls";

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    for package in workspace.packages.iter().filter(|package| package.published && package.name != HOME) {
        for dependency in package.dependencies.iter().filter(|name| name.starts_with(FOREIGN)) {
            findings.problems.push(format!("{} depends on {dependency}; only {HOME} may", package.name));
        }
    }
    for file in workspace.rust_files() {
        let imports = imports(&file.shipped);
        let foreign = imports.iter().filter(|import| import.text.starts_with(FOREIGN));
        let names: Vec<&str> =
            foreign.map(|import| import_name(&import.text)).filter(|name| !matches!(*name, "*" | "_")).collect();
        for item in public_items(&file.shipped) {
            let named = names.iter().find(|name| item.names(name)).copied();
            if let Some(name) = named.or_else(|| item.text.contains(FOREIGN).then_some(FOREIGN)) {
                findings.problems.push(format!("{}:{}: public, and names {name} of {FOREIGN}", file.path, item.line));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_manifest_and_a_public_signature_are_found() {
        let workspace = Workspace::sample(
            &[("mimi-mls", &["openmls", "openmls_traits"]), ("mimi-flow", &["openmls_traits"])],
            &[
                (
                    "crates/mimi-mls/src/a.rs",
                    "use openmls::prelude::{MlsGroup as Group, KeyPackage};\n\npub fn f(\n g: &Group,\n) {}",
                ),
                ("crates/mimi-mls/src/b.rs", "pub enum BError {\n A(openmls::group::AddError),\n}"),
                ("crates/mimi-mls/src/c.rs", "pub use openmls::prelude::Ciphersuite;"),
            ],
        );
        let expected = [
            "mimi-flow depends on openmls_traits; only mimi-mls may",
            "crates/mimi-mls/src/a.rs:3: public, and names Group of openmls",
            "crates/mimi-mls/src/b.rs:1: public, and names openmls of openmls",
            "crates/mimi-mls/src/c.rs:1: public, and names Ciphersuite of openmls",
        ];
        assert_eq!(check(&workspace).unwrap().problems, expected);
    }

    #[test]
    fn inside_the_crate_it_may_be_named() {
        let workspace = Workspace::sample(
            &[("mimi-mls", &["openmls"])],
            &[(
                "crates/mimi-mls/src/a.rs",
                "use openmls::prelude::{*, Wire as _};\nuse openmls::group::MlsGroup;\n/// Not openmls' own.\npub struct Room { group: MlsGroup }\n\
                 pub(crate) fn f(group: &MlsGroup) {}\npub fn g(_: R<'_>) { openmls::h() }\n\
                 pub enum E { MlsGroup }",
            )],
        );
        assert_eq!(check(&workspace).unwrap(), Findings::default());
    }
}
