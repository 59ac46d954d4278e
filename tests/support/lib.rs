//! Helpers shared by the tests of the whole tool: the fixtures, with the archives unpacked, and the program itself.
//!
//! Nothing is skipped silently: what is asked for and not there is a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: a panic is how a test fails"
)]

mod hdf5;
mod table;

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use hdf5::{Object, hdf5};
use npyz::npz::NpzArchive;
use tempfile::TempDir;

pub use table::Table;

/// A model file of `fixtures/`, with what belongs to it.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Folder under `fixtures/`: `thin`.
    pub set: String,
    /// Text before the first dot of its name: `thin50v2`.
    pub name: String,
    /// The rest: `k3.weights.h5`.
    pub encoding: String,
    /// The file.
    pub path: PathBuf,
    /// Inputs and outputs that its own framework computed.
    pub golden: Option<PathBuf>,
    /// What its own framework says of it.
    pub facts: Option<PathBuf>,
}

impl Fixture {
    /// Set and file name, to say which one failed.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}.{}", self.set, self.name, self.encoding)
    }

    /// The facts as JSON.
    ///
    /// # Panics
    /// Where there are none.
    #[must_use]
    pub fn facts(&self) -> serde_json::Value {
        let path = self.facts.as_ref().unwrap_or_else(|| panic!("{} has no facts", self.label()));
        serde_json::from_reader(BufReader::new(File::open(path).unwrap())).unwrap()
    }

    /// The arrays of the golden file whose names start with `prefix` (`input/`, `output/`, `tap/`), in the file's order,
    /// as (name without the prefix, shape, values).
    ///
    /// # Panics
    /// Where there is no golden file.
    #[must_use]
    pub fn arrays(&self, prefix: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let path = self.golden.as_ref().unwrap_or_else(|| panic!("{} has no golden file", self.label()));
        let mut archive = NpzArchive::open(path).unwrap();
        // The reader of .npz files lists them in no order; the archive has that of the model.
        let members = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        let names: Vec<String> = (0..members.len())
            .filter_map(|index| Some(members.name_for_index(index)?.ok()?.strip_suffix(".npy")?.to_owned()))
            .collect();
        let of_kind = names.iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?.to_owned())));
        of_kind
            .map(|(member, name)| {
                let array = archive.by_name(member).unwrap().unwrap();
                let shape = array.shape().iter().map(|&size| usize::try_from(size).unwrap()).collect();
                (name, shape, floats(array))
            })
            .collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "goldens are f32; integers are small")]
fn floats<R: Read>(array: npyz::NpyFile<R>) -> Vec<f32> {
    match array.dtype().descr().trim_matches('\'') {
        "<f4" => array.into_vec().unwrap(),
        "<f8" => array.into_vec::<f64>().unwrap().into_iter().map(|v| v as f32).collect(),
        "<i8" => array.into_vec::<i64>().unwrap().into_iter().map(|v| v as f32).collect(),
        "<i4" => array.into_vec::<i32>().unwrap().into_iter().map(|v| v as f32).collect(),
        "|u1" => array.into_vec::<u8>().unwrap().into_iter().map(f32::from).collect(),
        other => panic!("a golden array of dtype {other}"),
    }
}

/// The folder `fixtures/`.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").canonicalize().unwrap()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// All model files, those in archives too, sorted by set and name. Files of `checks/`, `faults/` and `shapes/` are not among them.
#[must_use]
pub fn all() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = Vec::new();
        for set in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
            let name = set.file_name().unwrap().to_string_lossy().into_owned();
            if !["checks", "faults", "torch", "onnx", "pictures", "precision", "proof", "shapes"].contains(&&*name) {
                fixtures.extend(of_set(&name, &set, &unpacked.path().join(&name)));
            }
        }
        fixtures.sort_by_key(Fixture::label);
        assert!(fixtures.len() > 200, "only {} fixtures were found", fixtures.len());
        (unpacked, fixtures)
    });
    fixtures
}

/// The files of an archive in the folder of fixtures, in a folder of their own that goes with the returned handle.
#[must_use]
pub fn unpacked(archive: &str) -> TempDir {
    let target = tempfile::tempdir().unwrap();
    zip::ZipArchive::new(File::open(folder().join(archive)).unwrap()).unwrap().extract(&target).unwrap();
    target
}

fn of_set(set: &str, folder: &Path, unpacked: &Path) -> Vec<Fixture> {
    let mut files = Vec::new();
    walk(folder, &mut files);
    for archive in files.clone().iter().filter(|path| path.extension().is_some_and(|ending| ending == "zip")) {
        zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(unpacked).unwrap();
    }
    if unpacked.exists() {
        walk(unpacked, &mut files);
    }
    let beside = |name: &str, ending: &str| {
        files.iter().find(|path| path.file_name().is_some_and(|file| *file == *format!("{name}.{ending}"))).cloned()
    };
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "h5" || ending == "keras"))
        // Parts of folders and of sharded weights are no models of their own.
        .filter(|path| path.parent().is_some_and(|parent| parent == folder || parent == unpacked))
        .filter_map(|path| {
            let (name, encoding) = path.file_name()?.to_str()?.split_once('.')?;
            Some(Fixture {
                set: set.to_owned(),
                name: name.to_owned(),
                encoding: encoding.to_owned(),
                path: path.clone(),
                golden: beside(name, "golden.npz"),
                facts: beside(name, "facts.json"),
            })
        })
        .collect()
}

/// All files of `fixtures/torch`, sorted by group and name: checkpoints, and folders as Hugging Face has them.
#[must_use]
pub fn torch() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = Vec::new();
        for group in ["containers", "families", "huggingface", "modules", "timm", "torchvision", "zoo"] {
            fixtures.extend(group_of_torch(group, unpacked.path()));
        }
        fixtures.sort_by_key(Fixture::label);
        assert!(fixtures.len() > 60, "only {} fixtures of PyTorch were found", fixtures.len());
        (unpacked, fixtures)
    });
    fixtures
}

/// All models of `fixtures/onnx`, sorted by exporting framework and name. One golden serves all files of a network.
#[must_use]
pub fn onnx() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = Vec::new();
        for group in ["keras", "masked", "torch"] {
            let archive = folder().join("onnx").join(format!("{group}.zip"));
            let target = unpacked.path().join(group);
            zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(&target).unwrap();
            let files = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().path());
            let models = files.filter(|path| path.extension().is_some_and(|ending| ending == "onnx"));
            fixtures.extend(models.filter_map(|path| of_group(group, &path)));
        }
        fixtures.sort_by_key(Fixture::label);
        assert!(fixtures.len() > 50, "only {} ONNX fixtures were found", fixtures.len());
        (unpacked, fixtures)
    });
    fixtures
}

/// A folder with all files of `fixtures/precision`: networks of several element types, with their golden files.
#[must_use]
pub fn precision() -> &'static Path {
    static ALL: OnceLock<TempDir> = OnceLock::new();
    let unpacked = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        for archive in ["keras.zip", "torch.zip"] {
            let archive = folder().join("precision").join(archive);
            zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(unpacked.path()).unwrap();
        }
        unpacked
    });
    unpacked.path()
}

/// Names and element types of the arrays of an `.npz` file, in its order.
#[must_use]
pub fn element_types(path: &Path) -> Vec<(String, String)> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let count = archive.len();
    let of_member = |index| {
        let member = archive.by_index(index).unwrap();
        let name = member.name().unwrap().trim_end_matches(".npy").to_owned();
        let array = npyz::NpyFile::new(member).unwrap();
        (name, array.dtype().descr().trim_matches('\'').to_owned())
    };
    (0..count).map(of_member).collect()
}

/// One member of an archive.
///
/// # Panics
/// Where it is not there.
#[must_use]
pub fn member(archive: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Copies an archive with one of its members changed.
pub fn with_member_changed(from: &Path, to: &Path, name: &str, change: impl Fn(&mut Vec<u8>)) {
    let mut archive = zip::ZipArchive::new(File::open(from).unwrap()).unwrap();
    let mut writer = zip::ZipWriter::new(File::create(to).unwrap());
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let called = member.name().unwrap().to_string();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        if called == name {
            change(&mut bytes);
        }
        writer.start_file(called, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap();
}

/// Files of PyTorch that have the tensors of networks that are read, and compute something else.
#[must_use]
pub fn torch_refused() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = group_of_torch("refused", unpacked.path());
        fixtures.sort_by_key(Fixture::label);
        (unpacked, fixtures)
    });
    fixtures
}

/// The folder with the files of `fixtures/checkpoints`.
#[must_use]
pub fn checkpoints() -> &'static Path {
    static ALL: OnceLock<TempDir> = OnceLock::new();
    let unpacked = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let archive = folder().join("checkpoints/checkpoints.zip");
        zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(unpacked.path()).unwrap();
        unpacked
    });
    unpacked.path()
}

/// Files of PyTorch that differ from their libraries' defaults in what no tensor shows, with the options that say it in their
/// facts.
#[must_use]
pub fn torch_open() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = group_of_torch("open", unpacked.path());
        fixtures.sort_by_key(Fixture::label);
        (unpacked, fixtures)
    });
    fixtures
}

/// Whole modules with heads and pools of their own.
#[must_use]
pub fn torch_heads() -> &'static [Fixture] {
    static ALL: OnceLock<(TempDir, Vec<Fixture>)> = OnceLock::new();
    let (_, fixtures) = ALL.get_or_init(|| {
        let unpacked = tempfile::tempdir().unwrap();
        let mut fixtures = group_of_torch("heads", unpacked.path());
        fixtures.sort_by_key(Fixture::label);
        (unpacked, fixtures)
    });
    fixtures
}

fn group_of_torch(group: &str, unpacked: &Path) -> Vec<Fixture> {
    let archive = folder().join("torch").join(format!("{group}.zip"));
    let target = unpacked.join(group);
    zip::ZipArchive::new(File::open(archive).unwrap()).unwrap().extract(&target).unwrap();
    fs::read_dir(&target).unwrap().filter_map(|entry| of_group(group, &entry.unwrap().path())).collect()
}

fn of_group(group: &str, path: &Path) -> Option<Fixture> {
    let file = path.file_name()?.to_str()?;
    let (name, encoding) = file.split_once('.').unwrap_or((file, "folder"));
    let beside = |ending: &str| Some(path.with_file_name(format!("{name}.{ending}"))).filter(|path| path.exists());
    (encoding != "golden.npz" && !encoding.ends_with("json")).then(|| Fixture {
        set: group.to_owned(),
        name: name.to_owned(),
        encoding: encoding.to_owned(),
        path: path.to_owned(),
        golden: beside("golden.npz"),
        facts: beside("facts.json"),
    })
}

/// One file of [`torch`] by its label, such as `timm/resnet26d.pth`.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn checkpoint(label: &str) -> &'static Fixture {
    torch().iter().find(|fixture| fixture.label() == label).unwrap_or_else(|| panic!("there is no checkpoint {label}"))
}

/// One fixture by its label, such as `digits/digits.k3.keras`.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn fixture(label: &str) -> &'static Fixture {
    all().iter().find(|fixture| fixture.label() == label).unwrap_or_else(|| panic!("there is no fixture {label}"))
}
