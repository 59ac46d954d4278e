//! Writing a model in another format or layout: written beside its place, read back, proved, and only then put there.
//!
//! [`Model::convert`] makes a [`Conversion`]; [`Conversion::prove`] says whether what was written is the source's function;
//! [`Conversion::commit`] moves it to its place. What is dropped before that leaves nothing.
//!
//! Invariant: nothing is at the output's place before every check that was asked for has passed.

mod options;
mod prove;
mod report;
mod rewrite;
mod source;
mod target;
mod written;

use std::path::{Path, PathBuf};

use residua_emit::{Emitted, InMemory, Staged};
use residua_ir::preparation::{Preparation, Stated};
use residua_ir::{Checked, Finding, Graph, Hint, Level, Op, Shown};
use residua_resnet::preprocessing::{Known, Told};
use residua_verify::Subject;

use crate::error::{Context, Error, Findings, Result, bail};
use crate::golden;
use crate::manifest;
use crate::model::Model;
use crate::preparation;
use crate::proof::{Settings, Verdict, Verification};
pub use options::{Convert, Onnx, Output, Proof, Safetensors};
use prove::Claim;
pub use report::{Converted, Document, SourceDocument};
use rewrite::Changed;
pub use source::{Check, Runtime, SourceCrate, SourceOptions};
use target::Target;
use written::Resolved;
pub use written::Written;

/// An output that is written and not at its place yet; or not given out yet, where it is in memory.
///
/// ```
/// use residua::{Model, Onnx, Proof};
/// # let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits/digits.k3.h5");
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("digits.onnx");
/// let conversion = Model::open(digits)?.convert(&out, Onnx::default())?;
/// assert!(!out.exists());
/// let conversion = conversion.prove(&Proof::default())?;
/// assert!(conversion.holds());
/// conversion.commit()?;
/// assert!(out.exists());
/// # Ok::<(), residua::Error>(())
/// ```
#[derive(Debug)]
pub struct Conversion<W = Staged> {
    options: Convert,
    /// The main file of the output.
    file: PathBuf,
    /// The model as it was given.
    given: Model,
    /// The same with the preparation of images noted.
    source: Checked,
    /// What was written: the source, or it rewritten.
    model: Model,
    changed: Changed,
    frees: bool,
    target: Target,
    written: W,
    recorded: Known,
    findings: Vec<Finding>,
    verification: Option<Verification>,
    golden: Vec<Verification>,
}

impl Model {
    /// Writes the model beside the place where it is to be.
    ///
    /// # Errors
    /// [`Error::Findings`] where its values do not hold, or the float type that was asked for does not hold them; where the
    /// format or layout cannot hold the network, with each reason; where the file cannot be written.
    pub fn convert(&self, out: impl AsRef<Path>, options: impl Into<Convert>) -> Result<Conversion> {
        self.write(out.as_ref(), options.into())
    }

    /// Writes the model into memory, as a file of this name. No manifest is made of it.
    ///
    /// # Errors
    /// As [`Model::convert`].
    pub fn convert_in_memory(&self, name: &str, options: impl Into<Convert>) -> Result<Conversion<InMemory>> {
        let options = options.into();
        if options.manifest.is_some() {
            bail!("a manifest is of files, and `{name}` is written into memory");
        }
        self.write(name.as_ref(), options)
    }

    fn write<W: Written>(&self, file: &Path, options: Convert) -> Result<Conversion<W>> {
        let file = file.to_owned();
        let watch = options.watch.clone();
        watch.step("reading")?;
        sound(residua_verify::check_values(&Subject::new(&self.checked, &self.anatomy, None)))?;
        let mut model = self.clone();
        let recorded = record_preprocessing(&mut model, &options)?;

        watch.step("writing")?;
        let mut source = model.checked.clone();
        let freed = if options.free_batch { Some(model.make_batch_free()?) } else { None };
        let free_batch = freed.map(|(applied, frozen)| {
            source = frozen;
            applied
        });
        let frees = free_batch.is_some();
        let mut changed = Changed::undo_export(&mut model, free_batch)?;
        let target = Target::new(&options, &model)?;
        changed.fold(&mut model, options.fold_batch_norms)?;
        let findings = fits_float(&model, &options)?;
        let written = W::write(&Resolved { target: &target, rounded: true }, &model.checked, &file)?;
        let files = written.emitted().files.iter().chain(&options.manifest);
        residua_emit::place::refuse_twice(&files.map(PathBuf::as_path).collect::<Vec<_>>())?;
        Ok(Conversion {
            options,
            file,
            given: self.clone(),
            source,
            model,
            changed,
            frees,
            target,
            written,
            recorded,
            findings,
            verification: None,
            golden: Vec::new(),
        })
    }
}

impl<W: Written> Conversion<W> {
    /// Reads back what was written and holds it against the source, and the source against golden outputs where there are
    /// some. What came of it is in [`Conversion::verification`]; [`Conversion::commit`] asks for it.
    ///
    /// # Errors
    /// Where one of both cannot be run, or what was written not be read.
    pub fn prove(mut self, proof: &Proof) -> Result<Self> {
        let watch = self.options.watch.clone();
        if proof.against_source && !self.options.free_batch {
            let subject = Subject::new(&self.given.checked, &self.given.anatomy, None);
            // What no proof could run at the sizes that it declares.
            sound(residua_verify::check_free_sizes(&subject))?;
        }
        let settings = self.settings(proof);
        if let Some(path) = &proof.golden {
            watch.step("running the source on the golden inputs")?;
            let held = golden::hold(&self.given, path, &settings)?;
            self.golden = held.into_iter().map(|held| held.verification).collect();
        }
        if proof.against_source {
            watch.step("proving")?;
            self.written.start_sync();
            refuse_what_cannot_run(&self.model.checked)?;
            self.verification = Some(self.held(&self.written, &settings)?);
        }
        Ok(self)
    }

    fn settings(&self, proof: &Proof) -> Settings {
        Settings {
            threads: proof.threads,
            input_range: self.given.input_range(),
            tolerance: proof.tolerance,
            numeric: proof.numeric,
            ..Settings::default()
        }
    }

    /// Holds what is in the place of what was written against the source.
    fn held(&self, written: &W, settings: &Settings) -> Result<Verification> {
        let rewritten = self.changed.change().map(|change| (&self.model.checked, change));
        let Self { source, target, frees, .. } = self;
        let claim = Claim { source, model: &self.model.checked, rewritten, target, written, frees: *frees };
        claim.prove(settings).context("what was written cannot be proved")
    }

    /// Whether everything that was asked for holds so far.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.golden.iter().chain(&self.verification).all(|verification| verification.verdict == Verdict::Same)
    }

    /// What was found where the file was held against the source; none before [`Conversion::prove`].
    #[must_use]
    pub fn verification(&self) -> Option<&Verification> {
        self.verification.as_ref()
    }

    /// The source against each set of golden outputs.
    #[must_use]
    pub fn golden(&self) -> &[Verification] {
        &self.golden
    }

    /// What is to be known of the output and stands in nothing's way.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Throws the output away; what there is to say of it.
    #[must_use]
    pub fn discard(self) -> Converted {
        self.end(false).1
    }

    /// The output, and what there is to say of it.
    fn end(self, written: bool) -> (W, Converted) {
        let converted = Converted {
            source: self.given.path,
            emitted: self.written.emitted().clone(),
            file: self.file,
            target: self.target,
            computes_in: residua_ir::computes::computes_in(&self.source),
            told: self.model.told().to_vec(),
            passes: self.changed.passes().to_vec(),
            preparation: self.recorded,
            verification: self.verification,
            golden: self.golden,
            written,
        };
        (self.written, converted)
    }

    /// Why the output is not to be put in its place.
    #[must_use]
    pub fn refusal(&self) -> String {
        let out = self.file.shown();
        match &self.verification {
            Some(Verification { verdict: Verdict::Different, first_divergence: Some(first), .. }) => {
                format!("{out} was not written: it would not be the source's function from layer `{}` on", first.a)
            }
            Some(Verification { verdict: Verdict::Different, reason: Some(reason), .. }) => {
                format!("{out} was not written: {reason}")
            }
            Some(Verification { verdict: Verdict::Different, .. }) => {
                format!("{out} was not written: it would not be the source's function")
            }
            Some(Verification { verdict: Verdict::Same, .. }) | None => {
                format!("{out} was not written: the source does not reproduce the golden outputs")
            }
        }
    }
}

impl Conversion {
    /// Moves the output to its place, and the manifest with it, if one was asked for: all of it or nothing.
    ///
    /// # Errors
    /// Where a proof failed, or files cannot be moved.
    pub fn commit(self) -> Result<Converted> {
        if !self.holds() {
            bail!("{}", self.refusal());
        }
        let (source, manifest, graph) =
            (self.given.path.clone(), self.options.manifest.clone(), self.model.checked.graph().clone());
        let (staged, converted) = self.end(true);
        let format = converted.target.format();
        let emitted = put_in_place(&source, staged, &graph, format, manifest.as_deref())?;
        Ok(Converted { emitted, ..converted })
    }
}

impl Conversion<InMemory> {
    /// The main file as it was written.
    #[doc(hidden)]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.written.bytes
    }

    /// What [`Conversion::prove`] would say, were these the bytes of the main file: so that tests can ask which faults of a file
    /// it finds. Where only the verdict is wanted, nothing is run to say where a difference begins.
    ///
    /// # Errors
    /// As [`Conversion::prove`].
    #[doc(hidden)]
    pub fn prove_other(&self, bytes: Vec<u8>, verdict_alone: bool) -> Result<Verification> {
        refuse_what_cannot_run(&self.model.checked)?;
        let settings = Settings { verdict_alone, ..self.settings(&Proof::default()) };
        let mut written = self.written.clone();
        written.bytes = bytes;
        self.held(&written, &settings)
    }

    /// Gives the output out, and what there is to say of it.
    ///
    /// # Errors
    /// Where a proof failed.
    pub fn into_memory(self) -> Result<(InMemory, Converted)> {
        if !self.holds() {
            bail!("{}", self.refusal());
        }
        Ok(self.end(true))
    }
}

/// The findings, unless one of them is an error.
fn sound(findings: Vec<Finding>) -> Result<Vec<Finding>> {
    match findings.iter().any(|finding| finding.level == Level::Error) {
        true => Err(Findings(findings).into()),
        false => Ok(findings),
    }
}

/// Whether the float type that was asked for holds all weights; what it only loses is told.
fn fits_float(model: &Model, options: &Convert) -> Result<Vec<Finding>> {
    if options.dtype != Some(crate::options::Dtype::F16) {
        return Ok(Vec::new());
    }
    let dtype = options.dtype.map(crate::options::Dtype::of_tensors);
    let subject = Subject::new(&model.checked, &model.anatomy, None).in_dtype(dtype);
    sound(residua_verify::check_float(&subject))
}

/// A proof runs both models, the operators that are not known too.
fn refuse_what_cannot_run(model: &Checked) -> Result<()> {
    let graph = model.graph();
    let unknown: Vec<_> = model.opaque_nodes().map(|id| graph.node(id)).collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    let Op::Opaque(opaque) = &first.op else { return Ok(()) };
    let more = if unknown.len() > 1 { format!(" (and {} more)", unknown.len() - 1) } else { String::new() };
    bail!(
        "what was written cannot be proved, since `{}` ({} {}) cannot be run: {}{more}; {} writes it as it is, \
         unproved",
        graph.layer(first.layer).name,
        opaque.domain,
        opaque.op_type,
        opaque.reason,
        Hint::AgainstSource
    )
}

/// Moves the output to its place and writes the manifest, if one was asked for: both or neither.
fn put_in_place(
    source: &Path,
    staged: Staged,
    graph: &Graph,
    format: &str,
    manifest: Option<&Path>,
) -> Result<Emitted, Error> {
    let Some(path) = manifest else { return Ok(staged.commit()?) };
    let manifest = manifest::stage(path, &manifest::Conversion { source, graph, format, staged: &staged })?;
    Ok(staged.commit_with(vec![manifest])?)
}

/// Notes in the graph how images are prepared, so that it is written into the output; what is noted.
fn record_preprocessing(model: &mut Model, options: &Convert) -> Result<Known> {
    let mut known = model.preprocessing();
    if let Some(mode) = options.preprocess {
        known.values = Some(Told::new(mode.values(), Hint::Preprocess.to_string()));
        (known.assumed, known.reason) = (false, format!("from {}", Hint::Preprocess));
        known.conflicts.retain(|conflict| conflict.part != "values");
    }
    let preparation = Preparation {
        resize: known.resize.as_ref().map(|told| told.value),
        crop: known.crop.as_ref().map(|told| told.value),
        filter: known.filter.as_ref().map(|told| told.value),
        values: known.values.as_ref().map(|told| told.value),
    };
    let architecture = model.anatomy.standard_name().map(str::to_owned);
    let source = model.checked.source_mut();
    source.preprocessing.clear();
    if !preparation.is_empty() {
        let mut places = preparation::geometry_by(&known);
        // An assumption is about the values alone, and says so in its own words.
        match &known.values {
            Some(values) if known.assumed => places = vec![&values.by],
            Some(values) if !places.contains(&values.by.as_str()) => places.insert(0, &values.by),
            Some(_) | None => {}
        }
        let stated = Stated { assumed: known.assumed, ..Stated::new(places.join(" and "), preparation) };
        source.preprocessing.push(stated);
    }
    if source.architecture.is_none() {
        source.architecture = architecture;
    }
    Ok(known)
}
