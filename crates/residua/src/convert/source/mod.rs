//! A crate with the source of a network, its weights, a program that predicts an image, and a golden test.
//!
//! [`Model::write_source`] makes a [`SourceCrate`] beside its place, proved as it was asked for; [`SourceCrate::commit`]
//! moves it there.
//!
//! What is proved by default: the program is executed on symbols, with the tensors of the file that was written, and the graph
//! that comes of it is held against the source as every written file is. That covers the modules, their numbers, the order
//! of statements and the tensors; not how a statement is printed, nor how the runtime computes it. [`Check::Build`] builds the
//! crate and runs its golden test, which covers those.

mod build;
mod golden;
mod images;
mod onnx;
mod readme;
mod target;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use residua_emit::onnx::InputLayout;
use residua_emit::place::StagedFolder;
use residua_emit::{Emitted, Exactness, TensorMapping};
use residua_formats::Container;
use residua_ir::rewrite::{Change, cast_weights};
use residua_ir::{Checked, DType, Graph, Shown, Tensor, Text, validate};
use residua_resnet::preprocessing::Known;
use residua_source::package::{About, Lack};
use residua_source::{Program, execute, ident, plan};
use residua_verify::Subject;

use self::target::Target;
use super::prove::interface;
use super::rewrite::Changed;
use super::{Convert, Proof, fits_float, record_preprocessing, refuse_what_cannot_run, sound};
use crate::error::{Context, Error, Lines, Result, bail};
use crate::model::Model;
use crate::options::Dtype;
use crate::proof::{self, Relation, Settings, Verdict, Verification};
use crate::watch::Watch;

/// What source is written.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// The runtime that the crate is for.
    pub runtime: Runtime,
    /// Version of the runtime that the crate is written for; by default the newest that is known.
    pub version: Option<String>,
    /// Float type of the stored weights; the crate computes in f32.
    pub dtype: Option<Dtype>,
    /// Whether batch norms are folded into the convolutions before them.
    pub fold_batch_norms: bool,
    /// How images are scaled; by default what the source says.
    pub preprocess: Option<residua_ir::preparation::Preprocessing>,
    /// A file with the names of the classes, one a line.
    pub labels: Option<PathBuf>,
    /// How the crate itself is checked.
    pub check: Check,
    /// Who watches.
    pub watch: Watch,
}

/// A runtime that crates are written for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// candle: the source of the network.
    #[default]
    Candle,
    /// burn: the source of the network.
    Burn,
    /// tract: a program that runs an ONNX model.
    Tract,
    /// rten: likewise.
    Rten,
}

/// How the crate itself is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Check {
    /// Its program is held against the graph; nothing is compiled.
    #[default]
    Structure,
    /// It is built besides, and its golden test is run. Needs cargo, and the crates that it depends on.
    Build,
}

/// A crate that is written and not at its place yet.
#[derive(Debug)]
pub struct SourceCrate {
    staged: StagedFolder,
    source: PathBuf,
    runtime: &'static str,
    version: &'static str,
    mapping: Vec<TensorMapping>,
    notes: Vec<String>,
    preparation: Known,
    modules: usize,
    verification: Option<Verification>,
    golden: Vec<Verification>,
    built: bool,
}

impl Model {
    /// Writes a crate with the source of the network, or with a program that runs it, beside the place of `folder`.
    ///
    /// # Errors
    /// Where its values do not hold; where the runtime lacks an operator: each with its reason; where `folder` is not empty, or cannot be
    /// written.
    pub fn write_source(
        &self,
        folder: impl AsRef<Path>,
        options: &SourceOptions,
        proof: &Proof,
    ) -> Result<SourceCrate> {
        let writer = Writer { given: self, options, proof };
        match options.runtime {
            Runtime::Candle => writer.write(folder.as_ref(), Target::candle(options.version.as_deref())?),
            Runtime::Burn => writer.write(folder.as_ref(), Target::burn(options.version.as_deref())?),
            Runtime::Tract => onnx::write(&writer, folder.as_ref(), residua_source::onnx::Runtime::Tract),
            Runtime::Rten => onnx::write(&writer, folder.as_ref(), residua_source::onnx::Runtime::Rten),
        }
    }

    /// What a runtime lacks of the network; empty where a crate with its source can be written. Those that read ONNX lack
    /// nothing of it here: `check` says what they cannot load.
    #[must_use]
    pub fn source_lacks(&self, runtime: Runtime) -> Vec<Lack> {
        let target = match runtime {
            Runtime::Candle => Target::candle(None),
            Runtime::Burn => Target::burn(None),
            Runtime::Tract | Runtime::Rten => return Vec::new(),
        };
        // The newest release is known.
        let Ok(target) = target else { return Vec::new() };
        let mut model = self.clone();
        match model.undo_export() {
            Ok(_) => target.lacks(&plan(&model.checked, &model.anatomy)),
            // Whoever writes it is told.
            Err(_) => target.lacks(&plan(&self.checked, &self.anatomy)),
        }
    }
}

struct Writer<'a> {
    given: &'a Model,
    options: &'a SourceOptions,
    proof: &'a Proof,
}

impl Writer<'_> {
    fn write(&self, folder: &Path, target: Target) -> Result<SourceCrate> {
        let watch = &self.options.watch;
        let mut staged = StagedFolder::new(folder)?;
        watch.step("reading")?;
        sound(residua_verify::check_values(&Subject::new(&self.given.checked, &self.given.anatomy, None)))?;
        let mut model = self.given.clone();
        let convert = self.as_convert();
        let preparation = record_preprocessing(&mut model, &convert)?;
        watch.step("writing")?;
        let mut changed = Changed::undo_export(&mut model, None)?;
        changed.fold(&mut model, self.options.fold_batch_norms)?;
        let mut notes: Vec<String> =
            fits_float(&model, &convert)?.iter().map(|finding| finding.message.to_string()).collect();
        let program = plan(&model.checked, &model.anatomy);
        let lacks = target.lacks(&program);
        if !lacks.is_empty() {
            return Err(refusal(self.given, target, &lacks).into());
        }
        let stored = self.stored(&model)?;
        let tensors = named(stored.graph(), &program, target)?;
        let mapping = mapping(model.checked.graph(), &program, &tensors);
        notes.extend(unnamed(model.checked.graph(), &program));
        staged.write_tensors("model.safetensors", tensors)?;
        let read_back = self.read_back(&staged, &program, (target, stored.graph()))?;
        let (golden, held) = golden::make(self, &model, &read_back)?;
        let images = images::of(&model, &preparation, &mut notes);
        let about = About {
            package: ident::package(&package(folder)),
            title: readme::title(&model, target.name()),
            labels: images::labels(&model, images.is_some(), self.options.labels.as_deref())?,
            images,
            golden: golden.about.clone(),
            paragraphs: readme::paragraphs(self.given, &preparation, &notes),
        };
        let files = target.files(&program, &about, &golden).map_err(|lacks| refusal(self.given, target, &lacks))?;
        for file in &files {
            staged.write(file.path, file.text.as_bytes())?;
        }
        target.write_golden(&mut staged, golden)?;
        let verification = match self.proof.against_source {
            true => {
                watch.step("proving")?;
                Some(self.prove(&model, &changed, &stored, &read_back)?)
            }
            false => None,
        };
        SourceCrate {
            staged,
            source: self.given.path.clone(),
            runtime: target.name(),
            version: target.version(),
            mapping,
            notes,
            preparation,
            modules: program.modules.len(),
            verification,
            golden: held,
            built: false,
        }
        .built(self)
    }

    /// What of the options a conversion has as well.
    fn as_convert(&self) -> Convert {
        Convert {
            dtype: self.options.dtype,
            fold_batch_norms: self.options.fold_batch_norms,
            preprocess: self.options.preprocess,
            ..super::Safetensors::default().into()
        }
    }

    /// The model with its weights in the type that is stored.
    fn stored(&self, model: &Model) -> Result<Checked> {
        match self.options.dtype {
            Some(dtype) => Ok(validate(cast_weights(model.checked.graph().clone(), dtype.of_tensors()))?),
            None => Ok(model.checked.clone()),
        }
    }

    /// The graph that the program is, with the tensors of the file that was written.
    fn read_back(
        &self,
        staged: &StagedFolder,
        program: &Program,
        (target, graph): (Target, &Graph),
    ) -> Result<Checked> {
        let cannot = "the weights that were written cannot be read back";
        let container = residua_formats::open(staged.path().join("model.safetensors")).context(cannot)?;
        let Container::Safetensors(file) = container else { bail!("{cannot}: they are no safetensors") };
        let shapes: HashMap<&str, &[usize]> =
            program.tensors.iter().map(|(name, id)| (name.as_str(), graph.parameter(*id).tensor.shape())).collect();
        let read = |tensor: residua_formats::NamedTensor| {
            let shape = shapes.get(tensor.name.as_str()).copied();
            Ok((tensor.name, target.read(tensor.tensor, shape)?))
        };
        let tensors: Vec<(String, Tensor)> = file.tensors.into_iter().map(read).collect::<Result<_>>()?;
        let graph = execute(program, &tensors).map_err(|error| Error::Refused(error.to_string()))?;
        validate(graph).context("the source that was written does not hold together")
    }

    fn prove(&self, model: &Model, changed: &Changed, stored: &Checked, read_back: &Checked) -> Result<Verification> {
        refuse_what_cannot_run(&model.checked)?;
        let settings = Settings {
            threads: self.proof.threads,
            input_range: self.given.input_range(),
            tolerance: self.proof.tolerance,
            numeric: self.proof.numeric,
            written: Some(interface(&model.checked, InputLayout::Nchw, None)),
            ..Settings::default()
        };
        let cannot = "what was written cannot be proved";
        let rearranged = changed.change() == Some(Change::Rounding);
        let relation = if rearranged { Relation::Rearranged } else { Relation::Identical };
        let rounded = self.options.dtype.map(Dtype::of_tensors).filter(|&dtype| dtype != DType::F32);
        let Some(dtype) = rounded else {
            return proof::prove(&self.given.checked, read_back, relation, &settings).context(cannot);
        };
        if changed.change().is_some() {
            let computing = Settings { written: None, ..settings.clone() };
            let found = proof::prove(&self.given.checked, &model.checked, relation, &computing).context(cannot)?;
            if found.verdict == Verdict::Different {
                return Ok(found);
            }
        }
        let mut found = proof::prove(stored, read_back, Relation::Identical, &settings).context(cannot)?;
        found.found.push_str(&format!(", its weights rounded to {dtype}"));
        proof::hold_rounded(&model.checked, stored, &mut found, &settings)?;
        Ok(found)
    }
}

/// Why no source is written, a line an operator.
fn refusal(model: &Model, target: Target, lacks: &[Lack]) -> Lines {
    let (name, version) = (target.name(), target.version());
    let what = format!("{} cannot be written for {name} {version}:", model.path.shown());
    let reasons = lacks.iter().map(|lack| {
        let count = if lack.count > 1 { format!(" ({} of them)", lack.count) } else { String::new() };
        format!("  - {} {}{count}", lack.op, lack.reason)
    });
    Lines(std::iter::once(what).chain(reasons).map(Text::from).collect())
}

/// What a package in this folder is called.
fn package(folder: &Path) -> String {
    let folder: PathBuf = folder.components().collect();
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The tensors of a graph under the names that a program has for them.
fn named(graph: &Graph, program: &Program, target: Target) -> Result<Vec<(String, Tensor)>> {
    let tensors = program.tensors.iter();
    tensors.map(|(name, id)| Ok((name.clone(), target.stored(graph.parameter(*id).tensor.clone())?))).collect()
}

fn mapping(graph: &Graph, program: &Program, tensors: &[(String, Tensor)]) -> Vec<TensorMapping> {
    let pairs = program.tensors.iter().zip(tensors);
    pairs.map(|((name, id), (_, tensor))| TensorMapping::of(graph, &[*id], name, tensor)).collect()
}

/// Tensors of the source that the program does not ask for, and those that it asks for twice.
fn unnamed(graph: &Graph, program: &Program) -> Vec<String> {
    let mut uses = vec![0usize; graph.parameters().len()];
    for (_, id) in &program.tensors {
        uses[id.index()] += 1;
    }
    let of_source = graph.parameters().iter().zip(uses).filter(|(parameter, _)| parameter.role.is_of_source());
    let mut notes = Vec::new();
    for (parameter, uses) in of_source {
        match uses {
            0 => notes.push(format!("left out `{}`, which no output depends on", parameter.name)),
            1 => {}
            many => notes.push(format!("`{}` is stored {many} times, once for each part that uses it", parameter.name)),
        }
    }
    notes
}

impl SourceCrate {
    /// Builds it, where that was asked for and all else holds.
    fn built(mut self, writer: &Writer) -> Result<Self> {
        if self.holds() && writer.options.check == Check::Build {
            writer.options.watch.step("building")?;
            build::test(&self.staged)?;
            self.built = true;
        }
        Ok(self)
    }

    /// Whether everything that was asked to hold holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.golden.iter().chain(&self.verification).all(|found| found.verdict == Verdict::Same)
    }

    /// Where the source was read from.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Where the folder will be.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.staged.target()
    }

    /// Where the folder is until it is at its place.
    #[must_use]
    pub fn now_at(&self) -> PathBuf {
        self.staged.path()
    }

    /// What was found where its program was held against the source.
    #[must_use]
    pub fn verification(&self) -> Option<&Verification> {
        self.verification.as_ref()
    }

    /// The source against each set of golden outputs.
    #[must_use]
    pub fn golden(&self) -> &[Verification] {
        &self.golden
    }

    /// The runtime that it is for.
    #[must_use]
    pub fn runtime(&self) -> &'static str {
        self.runtime
    }

    /// Version of the runtime that it is written for.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Modules of the program.
    #[must_use]
    pub fn modules(&self) -> usize {
        self.modules
    }

    /// Whether it was built and its golden test passed.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.built
    }

    /// How images are prepared.
    #[must_use]
    pub fn preparation(&self) -> &Known {
        &self.preparation
    }

    /// Files and tensors.
    #[must_use]
    pub fn emitted(&self) -> Emitted {
        Emitted::new(
            self.staged.files().to_vec(),
            self.staged.bytes(),
            self.mapping.clone(),
            Exactness::Identical,
            self.notes.clone(),
        )
    }

    /// Why the folder is not to be put in its place.
    #[must_use]
    pub fn refusal(&self) -> String {
        let folder = self.folder().shown();
        match &self.verification {
            Some(found) if found.verdict == Verdict::Different => {
                format!("{folder} was not written: it would not be the source's function")
            }
            Some(_) | None => format!("{folder} was not written: the source does not reproduce the golden outputs"),
        }
    }

    /// Moves the folder to its place; gives its files.
    ///
    /// # Errors
    /// Where a proof failed, or the folder cannot be moved.
    pub fn commit(self) -> Result<Vec<PathBuf>> {
        if !self.holds() {
            bail!("{}", self.refusal());
        }
        Ok(self.staged.commit()?)
    }
}
