//! State dicts that are spread over several files, as `pytorch_model.bin.index.json` lists them.

use std::collections::{BTreeMap, BTreeSet};

use residua_ir::Unused;
use residua_ir::budget::Limit;

use super::{StateDict, TorchFile, TorchKind, is_legacy, read_legacy, zip};
use crate::error::Result;
use crate::folder::Folder;
use crate::safetensors::{check_all, check_place};
use crate::zip::Archive;
use crate::{FormatError, NamedTensor};

/// Reads all shards that an index names; `names` are those of the tensors and their files.
pub(crate) fn read_shards(folder: &Folder, names: &BTreeMap<String, Vec<String>>) -> Result<TorchFile> {
    let files: BTreeSet<&String> = names.values().flatten().collect();
    FormatError::check("weight_map", Limit::Shards, files.len() as u64)?;
    let mut all = TorchFile::empty(TorchKind::Zip);
    let mut tensors = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let bytes = folder.map("weight_map", file)?;
        let shard = match is_legacy(&bytes) {
            true => read_legacy(&bytes),
            false => Archive::open(&bytes).and_then(|archive| zip::read_zip(&bytes, archive)),
        };
        let shard = shard.map_err(|error| error.within(file))?;
        all.kind = shard.kind;
        for dict in shard.state_dicts {
            if !dict.path.is_empty() {
                return Err(FormatError::malformed(file.as_str(), "a state dict", format!("one at `{}`", dict.path)));
            }
            for tensor in dict.tensors {
                check_place(names, &tensor.name, file, &mut seen)?;
                tensors.push(NamedTensor { location: format!("{file}: {}", tensor.location), ..tensor });
            }
        }
        for unused in shard.unused {
            // A tensor of a type that is not read is there all the same.
            seen.insert(unused.location.raw().to_owned());
            all.unused.push(Unused { location: format!("{file}: {}", unused.location.raw()).into(), ..unused });
        }
        all.scalars.extend(shard.scalars);
        all.dangers.extend(shard.dangers);
        all.notes.extend(shard.notes.into_iter().map(|note| format!("{file}: {note}")));
    }
    check_all(names, &seen)?;
    all.state_dicts.push(StateDict { path: String::new(), tensors, modules: Vec::new() });
    Ok(all)
}
