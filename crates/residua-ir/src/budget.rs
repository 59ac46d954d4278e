//! How much any one file may ask for: every limit, its reason, and the one way to change it.
//!
//! A reader, an importer, a pass over a graph or a run asks [`Limit::most`] before it does the work, or keeps a [`Meter`] while it does it; what
//! goes beyond is an [`Overrun`], which says which limit, what it is now, how much was asked for, and how to raise it. Defaults are far
//! above what real networks need: a file that meets one is damaged, made to exhaust the machine, or rare enough for an option.
//!
//! Limits belong to the process, since work is spread over threads. They are set once, before the first file is read ([`set`]); the
//! command line does it from `--budget` and from the variable [`VARIABLE`].
//!
//! A search that may give up without an error, such as that for the blocks of a network, asks here too, and whoever asked for it is told that it
//! gave up. Constants elsewhere are no bounds on work: they say what is looked for (how many nodes a gate has, how many taps a filter), or
//! from where on something is computed when the model is run instead of before, which changes no result.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hint::Hint;

/// Variable of the environment that sets limits, as `--budget` does; the option counts where both do.
pub const VARIABLE: &str = "RESIDUA_BUDGET";

/// What there is to say of a limit.
struct Entry {
    name: &'static str,
    what: &'static str,
    default: u64,
    /// The most that it may be set to: beyond, something else than this limit would fail.
    ceiling: u64,
    reason: &'static str,
    value: AtomicU64,
}

macro_rules! limits {
    ($($variant:ident $name:literal = $default:expr $(, up to $ceiling:expr)?; $what:literal; $reason:literal)*) => {
        /// A limit; see [`Limit::reason`] for why each is what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit {
            $(#[doc = concat!("`", $name, "`, ", $what, ": ", $reason)] $variant,)*
        }

        impl Limit {
            /// All limits, in the order in which a file meets them.
            pub const ALL: &'static [Limit] = &[$(Limit::$variant),*];
        }

        static ENTRIES: [Entry; Limit::ALL.len()] = [$(Entry {
            name: $name,
            what: $what,
            default: $default,
            ceiling: [$($ceiling,)? u64::MAX][0],
            reason: $reason,
            value: AtomicU64::new($default),
        }),*];
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

limits! {
    FolderFiles "folder-files" = 10_000; "files in the folder"; "A folder that is given as a model holds a few."
    Shards "shards" = 1_000; "files of one model"; "The largest models are spread over some hundred."
    ArchiveEntries "archive-entries" = 100_000; "entries of the archive"; "A checkpoint has one for each tensor, its optimizer's too."
    DecodedBytes "decoded-bytes" = 256 * MIB; "bytes after decoding"; "A small file of a constant network compresses a thousandfold, so no ratio can be asked of small files."
    DecodedRatio "decoded-ratio" = 64; "times the size of the file after decoding"; "Trained weights compress to a half at best, deflate can reach 1 : 1032; counts beyond `decoded-bytes`."
    JsonBytes "json-bytes" = 16 * MIB; "bytes of JSON"; "A model's configuration or an index of shards; that of ResNet152 takes less than 1 MiB."
    JsonValues "json-values" = 2_000_000; "values in JSON"; "Each takes some 100 bytes when it is read."
    Nesting "nesting" = 64, up to 128; "levels of nesting"; "Groups, modules, messages, functions; a stack of 2 MB bears three times as many."
    Rank "rank" = 64; "axes of a tensor"; "PyTorch and numpy allow 64."
    Tensors "tensors" = 200_000; "tensors and modules of a checkpoint"; "A checkpoint of ResNet-1202 with its optimizer has about 20,000."
    TextBytes "text-bytes" = 128 * MIB; "bytes of names and attributes"; "ResNet-1202 as a module takes about 5 MiB."
    PickleBytes "pickle-bytes" = 256 * MIB; "bytes of a pickle"; "Tensors not counted; one that is compressed counts as `decoded-bytes` say too."
    PickleOpcodes "pickle-opcodes" = 16_000_000; "opcodes of a pickle"; "A checkpoint of ResNet-1202 with its optimizer has about 400,000."
    PickleValues "pickle-values" = 2_000_000; "values of a pickle"; "That checkpoint has about 200,000; counts those on the stack and among the marks as well."
    PickleMemo "pickle-memo" = 2_000_000; "remembered values of a pickle"; "No pickle remembers more values than it has."
    PickleNameBytes "pickle-name-bytes" = KIB; "bytes of the name of a global or storage"; "Real ones have fewer than 100."
    HdfHeaderBytes "hdf5-header-bytes" = MIB; "bytes of an HDF5 object header"; "Real ones take a few KiB, and 64 KiB more for each long list of names."
    HdfMetadataBytes "hdf5-metadata-bytes" = 32 * MIB; "bytes of metadata that listing an HDF5 file reads"; "A file of 100 MB takes less than 1 MiB; a quarter of the file's size comes on top."
    HdfAttributeBytes "hdf5-attribute-bytes" = 32 * MIB; "bytes of all strings of an HDF5 attribute"; "A model's configuration is one of these."
    HdfNameBytes "hdf5-name-bytes" = KIB; "bytes of a link's name"; "Real ones have fewer than 100."
    HdfObjects "hdf5-objects" = 200_000; "groups and datasets in one file"; "ResNet152 with the state of its optimizer has about 5,000."
    HdfChunks "hdf5-chunks" = MIB; "chunks of one dataset"; "A chunk has some KiB or more."
    HdfChunkBytes "hdf5-chunk-bytes" = 256 * MIB; "bytes of one decoded chunk"; "A chunk is decoded whole."
    OnnxStructureBytes "onnx-structure-bytes" = 32 * MIB; "bytes that are no elements of tensors"; "Nodes, names and attributes; the largest networks take a few MB."
    OnnxItems "onnx-items" = 2_000_000; "messages and strings"; "A message of two bytes becomes a structure of some hundred; the largest networks have some 100,000."
    SafetensorsHeaderBytes "safetensors-header-bytes" = 16 * MIB; "bytes of the header"; "About 100 a tensor, and the graph in files of ours."
    SettingsBytes "settings-bytes" = 64 * MIB; "bytes of a manifest, a baseline, settings or labels"; "A manifest of ResNet-1202 takes about 4 MiB."
    ImagePixels "image-pixels" = 128 * MIB; "pixels of an image"; "Cameras come to 100 million; the decoder takes up to 16 bytes for each."
    Arrays "arrays" = 65_536; "arrays of an .npz file"; "One for each tap of ResNet-1202 comes to some thousand."
    ArrayBytes "array-bytes" = 4 * GIB; "bytes of one array of an .npz file after decoding"; "A thousand images of 512x512 in f32 take 3 GiB."
    LayerCalls "layer-calls" = 262_144; "calls of layers"; "Models within models multiply; the largest networks call some thousand."
    ModelNesting "model-nesting" = 16, up to 32; "Keras models within each other"; "Real ones have two or three levels."
    GraphItems "graph-items" = MIB; "nodes, values or tensors of the graph"; "ResNet-1202 has about 6,000 nodes."
    FunctionCalls "function-calls" = 100_000; "functions and branches that are read in their places"; "Exporters that write a function for each module come to some thousand."
    InlinedSize "inlined-size" = 32 * MIB; "what functions and branches come to, each in its place"; "Counted in bytes of names and lists and 256 a node; 32 MiB are some 100,000 nodes."
    ExpressionNodes "expression-nodes" = MIB; "parts of expressions that sizes are computed from"; "Exporters compute a size from one or two others."
    PassRounds "pass-rounds" = 16; "rounds in which what an exporter wrote is turned back"; "One uncovers what the next is for; real networks take two or three, and a round looks at each node."
    SearchPath "search-path" = 512; "nodes of one way through the graph"; "What a block computes between two sums takes fewer than 100; beyond, no block is looked for there, which is said."
    SearchNodes "search-nodes" = MIB; "nodes of all ways between meeting places"; "Those of ResNet-1202 are some 5,000; beyond, the rest is not looked at, which is said."
    SizeTrials "size-trials" = 4_000_000; "types that are inferred to try sizes that are declared free"; "A free size takes one or two for each node, one that the graph contradicts some 200; beyond, what is not decided counts as free, which is said."
    FilledBytes "filled-bytes" = GIB; "bytes of tensors that are one repeated number"; "A few bytes describe them; large ones are masks and zeros."
    ActivationBytes "activation-bytes" = 2 * GIB; "bytes that a run holds at once"; "A checker holds one image or two; EfficientNet-B7 at 600x600 takes about 0.5 GiB in f64."
    ProbeBytes "probe-bytes" = 128 * MIB; "bytes that a run on inputs made here holds at once"; "What a file says of its inputs decides how large they are; models with weights are given more, see `probe-ratio`."
    ProbeRatio "probe-ratio" = 256; "bytes that a run on inputs made here holds at once for each byte of weights"; "Convolutional networks come to some ten at 224x224; counts beyond `probe-bytes`, and within `activation-bytes`."
    ArithmeticAlways "arithmetic" = 64_000_000_000; "operations on numbers in one run"; "ResNet-152 takes 12 billion multiplications an image, EfficientNet-B7 37; models with weights are given more, see `arithmetic-ratio`."
    ArithmeticRatio "arithmetic-ratio" = 32_768; "operations on numbers in one run for each byte of weights"; "Networks that use each weight most often, those that enlarge images, come to 16,000; counts beyond `arithmetic`."
}

impl Limit {
    fn entry(self) -> &'static Entry {
        // One entry for each variant, in their order.
        &ENTRIES[self as usize]
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What is counted.
    #[must_use]
    pub fn what(self) -> &'static str {
        self.entry().what
    }

    /// What it is unless it is set.
    #[must_use]
    pub fn default(self) -> u64 {
        self.entry().default
    }

    /// Why it is that.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.entry().reason
    }

    /// The limit of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| limit.name() == name)
    }

    /// What it is now.
    #[must_use]
    pub fn most(self) -> u64 {
        self.entry().value.load(Ordering::Relaxed)
    }

    /// [`Limit::most`], as a number of things in memory.
    #[must_use]
    pub fn most_here(self) -> usize {
        usize::try_from(self.most()).unwrap_or(usize::MAX)
    }

    /// Nothing, unless that many are more than there may be.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn check(self, found: u64) -> Result<(), Overrun> {
        self.check_against(self.most(), found)
    }

    /// As [`Limit::check`], where `most` follows from the limit and from the size of a file.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn check_against(self, most: u64, found: u64) -> Result<(), Overrun> {
        if found <= most { Ok(()) } else { Err(Overrun { limit: self, most, found }) }
    }

    /// As [`Limit::check`], for a number of things in memory.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn check_here(self, found: usize) -> Result<(), Overrun> {
        self.check(found as u64)
    }
}

/// Bytes that what a file of this size holds may come to when it is decoded.
#[must_use]
pub fn decoded(file: usize) -> u64 {
    (file as u64).saturating_mul(Limit::DecodedRatio.most()).max(Limit::DecodedBytes.most())
}

/// Operations that a run may take of a model whose weights take these bytes in its file.
#[must_use]
pub fn arithmetic(weights: u64) -> u64 {
    weights.saturating_mul(Limit::ArithmeticRatio.most()).max(Limit::ArithmeticAlways.most())
}

/// Bytes that a run on inputs made here may hold of a model whose weights take these bytes in its file.
#[must_use]
pub fn probe(weights: u64) -> u64 {
    weights.saturating_mul(Limit::ProbeRatio.most()).max(Limit::ProbeBytes.most())
}

/// More than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun {
    /// The limit.
    pub limit: Limit,
    /// What it came to here.
    pub most: u64,
    /// How much was asked for; where work is counted while it is done, how much at least.
    pub found: u64,
}

impl std::error::Error for Overrun {}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overrun { limit, most, found } = self;
        let (what, name) = (limit.what(), limit.name());
        write!(f, "{what}: {found} is beyond the limit of {most}")?;
        let most = limit.entry().ceiling;
        if *found <= most {
            // Beyond 2^63 there is no power of two to name.
            let enough = found.checked_next_power_of_two().map_or_else(|| "none".to_owned(), |most| most.to_string());
            write!(f, " (where the file is to be trusted with more: {} {name}={enough})", Hint::Budget)
        } else {
            write!(f, " (`{name}` cannot be set beyond {most})")
        }
    }
}

/// Counts work while it is done.
#[derive(Debug)]
pub struct Meter {
    limit: Limit,
    used: u64,
}

impl Meter {
    /// Nothing used yet.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes so much of what is left.
    ///
    /// # Errors
    /// [`Overrun`] where less is left; so from then on.
    pub fn spend(&mut self, amount: u64) -> Result<(), Overrun> {
        self.used = self.used.saturating_add(amount);
        self.limit.check(self.used)
    }

    /// As [`Meter::spend`], for a number of things in memory.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn spend_here(&mut self, amount: usize) -> Result<(), Overrun> {
        self.spend(amount as u64)
    }

    /// As [`Meter::spend_here`], where what is refused is not done and so takes nothing.
    ///
    /// # Errors
    /// [`Overrun`] where less is left.
    pub fn take_here(&mut self, amount: usize) -> Result<(), Overrun> {
        let used = self.used.saturating_add(amount as u64);
        self.limit.check(used)?;
        self.used = used;
        Ok(())
    }

    /// An error where more was taken than there is.
    ///
    /// # Errors
    /// [`Overrun`].
    pub fn check(&self) -> Result<(), Overrun> {
        self.limit.check(self.used)
    }
}

/// `NAME=AMOUNT`, several between commas; an amount is a number with `k`, `M`, `G` or `KiB`, `MiB`, `GiB` behind it, or `none`.
///
/// # Errors
/// What is no such text, in a sentence.
pub fn parse(text: &str) -> Result<Vec<(Limit, u64)>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse_one).collect()
}

fn parse_one(part: &str) -> Result<(Limit, u64), String> {
    let (name, amount) = part.split_once('=').ok_or_else(|| format!("expected NAME=AMOUNT, found `{part}`"))?;
    let limit = Limit::named(name.trim()).ok_or_else(|| {
        let names: Vec<&str> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        format!("no limit is called `{}`; there are {}", name.trim(), names.join(", "))
    })?;
    let found = amount_of(amount.trim());
    let value = found.ok_or_else(|| format!("expected a number such as 500k, 2GiB or none, found `{amount}`"))?;
    match limit.entry().ceiling {
        ceiling if value <= ceiling || amount.trim() == "none" => Ok((limit, value.min(ceiling))),
        ceiling => Err(format!("`{}` cannot be set beyond {ceiling}", limit.name())),
    }
}

fn amount_of(text: &str) -> Option<u64> {
    if text == "none" {
        return Some(u64::MAX);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let factor = match text.get(digits..)? {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    text.get(..digits)?.parse::<u64>().ok()?.checked_mul(factor)
}

/// Sets limits for whatever is read or run from now on, in the whole process.
pub fn set(limits: &[(Limit, u64)]) {
    for (limit, value) in limits {
        limit.entry().value.store(*value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_name_of_its_own_and_a_default_that_can_be_set() {
        for (index, &limit) in Limit::ALL.iter().enumerate() {
            assert_eq!(limit as usize, index);
            assert_eq!(Limit::named(limit.name()), Some(limit));
            let text = format!("{}={}", limit.name(), limit.default());
            assert_eq!(parse(&text), Ok(vec![(limit, limit.default())]), "{text}");
            assert!(limit.reason().ends_with('.') && !limit.what().is_empty());
        }
    }

    #[test]
    fn amounts_are_numbers_with_their_unit() {
        let parsed = parse("activation-bytes=8GiB, tensors=500k,rank=none").unwrap();
        let expected = [(Limit::ActivationBytes, 8 << 30), (Limit::Tensors, 500_000), (Limit::Rank, u64::MAX)];
        assert_eq!(parsed, expected);
        assert_eq!(parse("nesting=none"), Ok(vec![(Limit::Nesting, 128)]));
        for bad in ["rank", "rank=", "rank=-1", "rank=1TB", "depth=3", "rank=99999999999999999999", "nesting=9999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_beyond_says_which_limit_and_how_to_raise_it() {
        assert_eq!(Limit::Rank.check(64), Ok(()));
        let text = Limit::Rank.check(65).unwrap_err().to_string();
        let hint = "where the file is to be trusted with more: budget rank=128";
        assert_eq!(text, format!("axes of a tensor: 65 is beyond the limit of 64 ({hint})"));
        let text = Limit::Nesting.check(1000).unwrap_err().to_string();
        assert_eq!(text, "levels of nesting: 1000 is beyond the limit of 64 (`nesting` cannot be set beyond 128)");
        let text = Limit::Rank.check(u64::MAX).unwrap_err().to_string();
        assert!(text.ends_with("budget rank=none)"), "{text}");
        let mut meter = Meter::new(Limit::Rank);
        assert!(meter.spend(60).is_ok() && meter.spend(4).is_ok() && meter.check().is_ok());
        assert!(meter.take_here(1).is_err() && meter.check().is_ok());
        assert!(meter.spend(1).is_err() && meter.check().is_err());
    }

    #[test]
    fn what_a_file_may_become_grows_with_it() {
        assert_eq!(decoded(0), 256 << 20);
        assert_eq!(decoded(1 << 30), 64 << 30);
        assert_eq!(arithmetic(0), 64_000_000_000);
    }
}
