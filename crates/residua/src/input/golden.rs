//! Golden files: inputs and outputs that a framework computed.
//!
//! Either a `.npz` with the arrays `input/NAME` and `output/NAME` (or just `NAME`), or a folder of ONNX
//! `test_data_set_N` folders with `input_0.pb`, `output_0.pb` and so on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, bail, ensure};
use residua_exec::Array;
use residua_ir::{Checked, Graph, Shown, Tensor, ValueId};

use super::{npy, tensor_proto, to_array};
use crate::proof::Golden;

/// What the folders of ONNX's test data begin with.
const SET: &str = "test_data_set_";

/// Reads all sets of a golden file or folder.
pub fn read(path: &Path, model: &Checked) -> Result<Vec<Golden>> {
    let graph = model.graph();
    if !path.is_dir() {
        let arrays = npy::read_npz(path)?;
        let set = from_arrays(graph, path, &arrays).with_context(|| format!("golden file {}", path.shown()))?;
        return Ok(vec![set]);
    }
    let mut sets = folders(path)?;
    if sets.is_empty() {
        ensure!(
            path.join("input_0.pb").is_file() || path.join("output_0.pb").is_file(),
            "golden folder {}: expected folders `{SET}0` and so on, or the files `input_0.pb` and `output_0.pb`, found neither",
            path.shown()
        );
        sets.push(path.to_owned());
    }
    sets.iter().map(|set| from_folder(graph, set).with_context(|| format!("golden folder {}", set.shown()))).collect()
}

fn from_arrays(graph: &Graph, path: &Path, arrays: &[(String, Tensor)]) -> Result<Golden> {
    let find = |kind: &str, id: ValueId| -> Result<Array> {
        let name = &graph.value(id).name;
        let prefixed = format!("{kind}/{}", name.raw());
        let found =
            arrays.iter().find(|(key, _)| *key == prefixed).or_else(|| arrays.iter().find(|(key, _)| key == name));
        match found {
            Some((_, tensor)) => to_array(tensor),
            None => {
                let keys: Vec<&str> = arrays.iter().map(|(key, _)| key.as_str()).collect();
                bail!("expected an array `{prefixed}` or `{name}`, found `{}`", keys.join("`, `"))
            }
        }
    };
    let all = |kind: &str, ids: &[ValueId]| -> Result<Vec<Array>> {
        // A single input or output may have any name: converted models are named by other tools.
        let of_kind: Vec<&Tensor> =
            arrays.iter().filter(|(key, _)| key.starts_with(&format!("{kind}/"))).map(|(_, tensor)| tensor).collect();
        match (ids, &of_kind[..]) {
            ([_], [only]) => Ok(vec![to_array(only)?]),
            _ => ids.iter().map(|&id| find(kind, id)).collect(),
        }
    };
    let name = path.to_string_lossy().into_owned();
    Ok(Golden { name, inputs: all("input", graph.inputs())?, outputs: all("output", graph.outputs())? })
}

/// `test_data_set_*` in a folder, by their numbers.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.shown()))? {
        let entry = entry.with_context(|| format!("cannot read {}", path.shown()))?;
        if entry.file_name().to_string_lossy().starts_with(SET) && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort_by_cached_key(|folder| {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let number: u64 = name.trim_start_matches(SET).parse().unwrap_or(u64::MAX);
        (number, name)
    });
    Ok(folders)
}

fn from_folder(graph: &Graph, folder: &Path) -> Result<Golden> {
    let all = |kind: &str, count: usize| -> Result<Vec<Array>> {
        let file = |index: usize| folder.join(format!("{kind}_{index}.pb"));
        let there = (0..).take_while(|&index| file(index).is_file()).count();
        let expected = match count {
            1 => format!("{kind}_0.pb, for the model's only {kind}"),
            _ => format!("{kind}_0.pb to {kind}_{}.pb, one for each of the model's {kind}s", count.saturating_sub(1)),
        };
        ensure!(there == count, "expected {expected}, found {there} such files");
        (0..count).map(|index| to_array(&tensor_proto::read(&file(index))?)).collect()
    };
    let name = folder.to_string_lossy().into_owned();
    Ok(Golden { name, inputs: all("input", graph.inputs().len())?, outputs: all("output", graph.outputs().len())? })
}

#[cfg(test)]
mod tests {
    use residua_ir::{GraphBuilder, Shape};

    use super::*;

    fn graph(inputs: &[&str]) -> Graph {
        let mut g = GraphBuilder::new("g");
        for name in inputs {
            let id = g.input(name, Shape::batch(&[1]));
            g.output(id);
        }
        g.finish().unwrap()
    }

    fn arrays(names: &[&str]) -> Vec<(String, Tensor)> {
        let tensor = |index: usize| Tensor::from_f32(vec![1, 1], &[index as f32]).unwrap();
        names.iter().enumerate().map(|(index, name)| ((*name).to_owned(), tensor(index))).collect()
    }

    #[test]
    fn arrays_are_found_by_prefixed_name_then_by_name() {
        let set =
            from_arrays(&graph(&["a", "b"]), Path::new("g.npz"), &arrays(&["input/b", "output/a", "a", "output/b"]))
                .unwrap();
        let first = |array: &Array| array.to_f32()[0];
        assert_eq!(set.inputs.iter().map(first).collect::<Vec<_>>(), [2.0, 0.0]);
        assert_eq!(set.outputs.iter().map(first).collect::<Vec<_>>(), [1.0, 3.0]);
    }

    #[test]
    fn the_only_input_and_output_may_have_another_name() {
        let set = from_arrays(&graph(&["x"]), Path::new("g.npz"), &arrays(&["tap/c", "input/input_1", "output/prob"]))
            .unwrap();
        assert_eq!((set.inputs.len(), set.outputs.len()), (1, 1));
    }

    #[test]
    fn sets_of_a_folder_are_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["test_data_set_10", "test_data_set_2", "test_data_set_0", "test_data_set_large", "other"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = folders(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["test_data_set_0", "test_data_set_2", "test_data_set_10", "test_data_set_large"]);
    }

    #[test]
    fn a_missing_array_is_named() {
        let error = from_arrays(&graph(&["a", "b"]), Path::new("g.npz"), &arrays(&["input/a", "output/a"]))
            .unwrap_err()
            .to_string();
        assert_eq!(error, "expected an array `input/b` or `b`, found `input/a`, `output/a`");
    }
}
