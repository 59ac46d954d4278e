//! What a file is found to be: which published weights, or not those that it is called.

use std::path::Path;

use residua_ir::Shown;
use serde::{Deserialize, Serialize};

use super::hash::{self, Hashes};
use super::{Digest, KnownWeights, Published, Table};
use crate::error::Result;

/// Weights that a file is called and is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotThose {
    /// What they are called.
    pub name: String,
    /// The library that published them.
    pub library: String,
    /// What they are told by.
    pub expected: Digest,
    /// The same of the file.
    pub found: Digest,
    /// Where they can be had.
    pub address: String,
}

/// What a file is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Its hashes.
    pub hashes: Hashes,
    /// The published weights that it is, byte for byte.
    pub weights: Option<KnownWeights>,
    /// Those that its name says it is, where it is none of them.
    pub not_those: Vec<NotThose>,
}

impl Digest {
    /// The same of a file; [`None`] where that was not computed.
    fn of(&self, hashes: &Hashes) -> Option<Self> {
        Some(match self {
            Self::Md5(_) => Self::Md5(hashes.md5.clone()?),
            Self::Sha256(digits) => Self::Sha256(hashes.sha256.as_ref()?.get(..digits.len())?.to_owned()),
        })
    }
}

impl Table {
    /// What a file is.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn identify(&self, path: &Path) -> Result<Identity> {
        self.identify_by(path, true, true)
    }

    pub(super) fn identify_by(&self, path: &Path, md5: bool, sha256: bool) -> Result<Identity> {
        let hashes = hash::of_file(path, md5, sha256)?;
        let is = |known: &&KnownWeights| known.digest.of(&hashes).as_ref() == Some(&known.digest);
        let weights = self.weights.iter().find(is).cloned();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let called: Vec<&KnownWeights> = self.weights.iter().filter(|known| known.is_called(&name)).collect();
        let not_those = if called.iter().any(is) { Vec::new() } else { not_those(&called, &hashes) };
        Ok(Identity { hashes, weights, not_those })
    }
}

fn not_those(called: &[&KnownWeights], hashes: &Hashes) -> Vec<NotThose> {
    let not = |known: &&KnownWeights| {
        Some(NotThose {
            name: known.name.clone(),
            library: known.library.clone(),
            expected: known.digest.clone(),
            found: known.digest.of(hashes)?,
            address: known.address.clone(),
        })
    };
    called.iter().filter_map(not).collect()
}

impl Identity {
    /// What is to be said of it, for people; none where nothing is known.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let known = self.weights.iter().flat_map(KnownWeights::lines);
        known.chain(self.not_those.iter().map(NotThose::sentence)).collect()
    }
}

impl KnownWeights {
    /// What is known of them, for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{}, told by {}", self.title(), self.digest.text()), format!("from {}", self.address)];
        if let Some(Published { top1, top5, by }) = &self.published {
            lines.push(format!("published accuracy: top-1 {top1} %, top-5 {top5} %, says {by}"));
        }
        lines.push(match self.classes.as_deref() {
            Some("imagenet") => "its classes are ImageNet's thousand".to_owned(),
            Some(other) => format!("its classes are {other}"),
            None => "it has no top, and no classes".to_owned(),
        });
        lines
    }
}

impl NotThose {
    /// That it is called so and is not.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "it is called as {} of {}, which has {}, and is not that file: it has {}",
            self.name.shown(),
            self.library.shown(),
            self.expected.text(),
            self.found.text()
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const HEAD: &str =
        "library,version,name,file,hash,address,top1,top5,figures,resize,crop,interpolation,preprocess,stated,classes";

    /// A table with a line for these bytes, under both hashes.
    pub(in crate::known) fn table(path: &Path) -> Table {
        let Hashes { md5, sha256 } = hash::of_file(path, true, true).unwrap();
        let (md5, sha256) = (md5.unwrap(), sha256.unwrap());
        let keras = format!(
            "keras,3,net,net_weights.h5,{md5},https://k/net_weights.h5,75,92.5,https://k,24x24,,,tf,a class,imagenet"
        );
        let torch = format!(
            "torchvision,0,net.V1,net-{0}.pth,{0},https://t/net.pth,,,,256,224,bilinear,torch,transforms,",
            &sha256[..8]
        );
        Table::parse(&format!("{HEAD}\n{keras}\n{torch}\n")).unwrap()
    }

    fn file(folder: &Path, name: &str, bytes: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn bytes_count_and_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "renamed.h5", "weights");
        let table = table(&path);
        let identity = table.identify(&path).unwrap();
        assert_eq!(identity.weights.as_ref().map(|known| known.name.as_str()), Some("net"));
        assert!(identity.not_those.is_empty());
        let lines = identity.lines();
        assert!(lines[0].starts_with("net of keras (3), told by MD5 "), "{lines:?}");
        assert_eq!(lines[2], "published accuracy: top-1 75 %, top-5 92.5 %, says https://k");
        let other = file(folder.path(), "other.h5", "other weights");
        let unknown = table.identify(&other).unwrap();
        assert_eq!((unknown.weights.as_ref(), unknown.lines().len()), (None, 0));
    }

    #[test]
    fn a_name_is_held_against_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let real = file(folder.path(), "real", "weights");
        let table = table(&real);
        let named = &table.weights()[1].file;
        let forged = file(folder.path(), named, "weightz");
        let identity = table.identify(&forged).unwrap();
        assert_eq!((identity.weights.as_ref(), identity.not_those.len()), (None, 1));
        let said = identity.not_those[0].sentence();
        assert!(said.starts_with("it is called as net.V1 of torchvision, which has SHA-256 "), "{said}");
        let right = file(folder.path(), named, "weights");
        assert!(table.identify(&right).unwrap().not_those.is_empty());
        // Of the bytes of other published weights, both are said.
        let keras = file(folder.path(), "net_weights.h5", "weightz");
        assert_eq!(table.identify(&keras).unwrap().not_those.len(), 1);
    }
}
