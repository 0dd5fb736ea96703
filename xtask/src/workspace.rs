use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{rust::RustFile, shell::cargo};

/// The workspace as the checks see it: its packages, and its files held in memory.
#[derive(Default)]
pub struct Workspace {
    /// The packages, in order of their names.
    pub packages: Vec<Package>,
    /// The text files, by their paths from the root.
    pub files: Vec<TextFile>,
    /// Every file and folder, by its path from the root.
    pub paths: BTreeSet<String>,
}

/// A package, as its manifest says.
#[derive(Clone, Default)]
pub struct Package {
    pub name: String,
    /// The folder, from the root.
    pub folder: String,
    pub version: String,
    /// Whether it may be published.
    pub published: bool,
    pub description: bool,
    pub license: bool,
    pub readme: bool,
    pub keywords: usize,
    pub categories: usize,
    /// The names of what it depends on outside of tests, whether always or only with a feature.
    pub dependencies: Vec<String>,
    /// Those of them that are there only with a feature.
    pub optional: Vec<String>,
    /// Its features, and what each brings with it.
    pub features: BTreeMap<String, Vec<String>>,
}

/// A text file.
pub struct TextFile {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

impl Workspace {
    /// Reads manifests and files.
    pub fn load() -> Result<Self> {
        let output = cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        let mut workspace =
            Self { packages: packages(&serde_json::from_slice(&output.stdout)?, &root())?, ..Self::default() };
        workspace.walk(&root(), "")?;
        Ok(workspace)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if name == ".git" || name == "target" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"))?;
            } else if let Ok(text) = String::from_utf8(fs::read(entry.path()).with_context(|| path.clone())?) {
                self.files.push(TextFile { path: path.clone(), text });
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    /// The Rust files of the packages.
    pub fn rust_files(&self) -> impl Iterator<Item = RustFile<'_>> {
        let rust = self.files.iter().filter(|file| file.path.ends_with(".rs"));
        rust.filter_map(|file| Some(RustFile::new(self.package_of(&file.path)?, file)))
    }

    /// A text file by its path.
    pub fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    fn package_of(&self, path: &str) -> Option<&str> {
        let inside = |package: &&Package| path.strip_prefix(&package.folder).is_some_and(|rest| rest.starts_with('/'));
        self.packages.iter().find(inside).map(|package| package.name.as_str())
    }
}

fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let list = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut packages = list.iter().map(|value| package(value, root)).collect::<Result<Vec<_>>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn package(value: &Value, root: &Path) -> Result<Package> {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let count = |name: &str| value[name].as_array().map_or(0, Vec::len);
    let manifest = text("manifest_path");
    let folder = Path::new(&manifest).parent().and_then(|folder| folder.strip_prefix(root).ok());
    let folder = folder.with_context(|| format!("{manifest} is outside of the workspace"))?;
    let dependencies = value["dependencies"].as_array().into_iter().flatten();
    let dependencies: Vec<_> = dependencies.filter(|dependency| dependency["kind"] != "dev").collect();
    let names = |keep: &dyn Fn(&Value) -> bool| {
        let kept = dependencies.iter().filter(|dependency| keep(dependency));
        kept.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect()
    };
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    let features = value["features"].as_object().into_iter().flatten();
    Ok(Package {
        name: text("name"),
        folder: folder.to_string_lossy().replace('\\', "/"),
        version: text("version"),
        published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        description: !text("description").is_empty(),
        license: !text("license").is_empty(),
        readme: !text("readme").is_empty(),
        keywords: count("keywords"),
        categories: count("categories"),
        dependencies: names(&|_| true),
        optional: names(&|dependency| dependency["optional"] == true),
        features: features.map(|(name, brings)| (name.clone(), strings(brings))).collect(),
    })
}

#[cfg(test)]
impl Workspace {
    /// A workspace for tests: packages by name, folder `crates/<name>`, with their dependencies; then files.
    pub fn sample(packages: &[(&str, &[&str])], files: &[(&str, &str)]) -> Self {
        let packages = packages.iter().map(|(name, dependencies)| Package {
            name: (*name).to_owned(),
            folder: format!("crates/{name}"),
            version: "0.1.0".into(),
            published: true,
            description: true,
            license: true,
            readme: true,
            keywords: 3,
            categories: 1,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        });
        let text = |(path, text): &(&str, &str)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() };
        Self {
            packages: packages.collect(),
            files: files.iter().map(text).collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_from_the_metadata() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "mimi-wire", "version": "0.1.0", "manifest_path": "/w/crates/mimi-wire/Cargo.toml",
            "publish": null, "description": "d", "license": "MIT", "readme": null, "keywords": ["a"], "categories": [],
            "dependencies": [
                { "name": "mimi-pseudonym", "kind": null }, { "name": "proptest", "kind": "dev" },
                { "name": "cc", "kind": "build" }, { "name": "mimi-room", "kind": null, "optional": true },
            ],
            "features": { "room": ["dep:mimi-room"] },
        }]});
        let read = packages(&metadata, Path::new("/w")).unwrap();
        let package = read.first().unwrap();
        assert_eq!((package.name.as_str(), package.folder.as_str()), ("mimi-wire", "crates/mimi-wire"));
        assert_eq!(package.dependencies, ["mimi-pseudonym", "cc", "mimi-room"]);
        assert_eq!(package.optional, ["mimi-room"]);
        assert_eq!(package.features["room"], ["dep:mimi-room"]);
        assert!(package.published && package.description && !package.readme);
        assert_eq!((package.keywords, package.categories), (1, 0));
        assert!(packages(&metadata, Path::new("/elsewhere")).is_err());
    }

    #[test]
    fn this_workspace_can_be_read() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.packages.iter().any(|package| package.name == "xtask" && !package.published));
        assert!(workspace.file("xtask/src/main.rs").is_some());
        assert!(workspace.rust_files().any(|file| file.package == "xtask"));
    }
}
