//! The form of `residua.toml`, and reading it with the line of what is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use residua_ir::{Activation, Level, Shown};
use residua_resnet::Form;
use residua_resnet::layouts::ModelLibrary;
use residua_resnet::recognise::GivenStem;
use residua_verify::targets::Runtime;
use serde::{Deserialize, Deserializer, de};

use crate::check::Check;
use crate::error::Error;
use crate::options::{Choice as Named, Dtype, FailOn, InputShape, Override, Pooling, Variant, parse};
use crate::suggest;

/// What is asked of all models, or of those that some patterns match.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Section {
    files: Option<OneOrMore<Pattern>>,
    expect: Option<Expected>,
    #[serde(alias = "targets")]
    target: Option<OneOrMore<Target>>,
    dtype: Option<Choice<Dtype>>,
    golden: Option<Template>,
    against: Option<Template>,
    tolerance: Option<Tolerance>,
    input_shape: Option<OneOrMore<Shape>>,
    fail_on: Option<Choice<FailOn>>,
    baseline: Option<PathBuf>,
    #[serde(deserialize_with = "levels")]
    levels: BTreeMap<&'static str, Option<Level>>,
    which: Option<String>,
    head_from: Option<String>,
    pooling: Option<Choice<Pooling>>,
    variant: Option<Choice<Variant>>,
    stride: Option<Strides>,
    dilation: Option<Dilations>,
    output_stride: Option<OutputStride>,
    stem: Option<Stem>,
    activation: Option<Function>,
    epsilon: Option<Epsilon>,
    norm_groups: Option<Groups>,
    source_layout: Option<Layout>,
    model: Vec<Section>,
}

/// What is wrong, and where in the text.
#[derive(Debug)]
pub(super) struct Wrong {
    line: Option<usize>,
    message: String,
}

impl Wrong {
    /// As an error about a file.
    pub(super) fn at(self, path: &Path) -> Error {
        let line = self.line.map_or_else(String::new, |line| format!(":{line}"));
        Error::Refused(format!("{}{line}: {}", path.shown(), self.message))
    }
}

/// The general settings, and those of models.
pub(super) fn parse(text: &str) -> Result<(Section, Vec<Section>), Wrong> {
    let mut general: Section = toml::from_str(text).map_err(|error| Wrong {
        line: error.span().map(|span| line_of(text, &span)),
        message: explained(error.message()),
    })?;
    let models = std::mem::take(&mut general.model);
    let wrong = |message: &str| Err(Wrong { line: None, message: message.to_owned() });
    if general.files.is_some() {
        return wrong("`files` belongs into a [[model]]; what stands outside of one holds for all models");
    }
    if models.iter().any(|section| section.files.is_none()) {
        return wrong("a [[model]] without `files`: expected patterns of the models that it is about");
    }
    if models.iter().any(|section| !section.model.is_empty()) {
        return wrong("a [[model]] within a [[model]]");
    }
    Ok((general, models))
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count() + 1
}

/// A message of the reader of TOML; for a key that is not known, with what was probably meant.
fn explained(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((unknown, known))) => {
            format!("there is no setting `{unknown}`{}", suggest::hint(unknown, known.iter().copied()))
        }
        (_, _) => message.to_owned(),
    }
}

impl Section {
    /// Whether it is about the model at this place, from the folder of the file.
    pub(super) fn matches(&self, place: &str) -> bool {
        self.files.iter().flat_map(|files| &files.0).any(|pattern| pattern.matches(place))
    }

    /// Puts its settings over others.
    pub(super) fn apply(&self, settings: &mut Check, folder: &Path, model: &Path) {
        let put = |path: &Template| folder.join(path.of(model));
        over(&mut settings.expect, self.expect.as_ref().map(|expected| expected.0.clone()));
        over(&mut settings.golden, self.golden.as_ref().map(put));
        over(&mut settings.against, self.against.as_ref().map(put));
        over(&mut settings.tolerance, self.tolerance.as_ref().map(|tolerance| tolerance.0));
        over(&mut settings.baseline, self.baseline.as_ref().map(|path| folder.join(path)));
        over(&mut settings.dtype, self.dtype.as_ref().map(|dtype| dtype.0));
        if let Some(target) = &self.target {
            settings.target = target.0.iter().map(|target| target.0).collect();
        }
        if let Some(shapes) = &self.input_shape {
            settings.open.input_shapes = shapes.0.iter().map(|shape| shape.0.clone()).collect();
        }
        if let Some(Choice(fail_on)) = self.fail_on {
            settings.fail_on = fail_on;
        }
        settings.levels.extend(&self.levels);
        let source = &mut settings.open;
        over(&mut source.which, self.which.clone());
        over(&mut source.head_from, self.head_from.clone());
        over(&mut source.pooling, self.pooling.as_ref().map(|pooling| pooling.0));
        over(&mut source.variant, self.variant.as_ref().map(|variant| variant.0));
        over(&mut source.stride, self.stride.as_ref().map(|strides| strides.0.clone()));
        over(&mut source.dilation, self.dilation.as_ref().map(|dilations| dilations.0.clone()));
        over(&mut source.output_stride, self.output_stride.as_ref().map(|stride| stride.0));
        over(&mut source.stem, self.stem.as_ref().map(|stem| stem.0));
        over(&mut source.activation, self.activation.as_ref().map(|activation| activation.0));
        over(&mut source.epsilon, self.epsilon.as_ref().map(|epsilon| epsilon.0));
        over(&mut source.norm_groups, self.norm_groups.as_ref().map(|groups| groups.0));
        over(&mut source.source_layout, self.source_layout.as_ref().map(|layout| layout.0));
    }
}

fn over<T>(setting: &mut Option<T>, with: Option<T>) {
    if with.is_some() {
        *setting = with;
    }
}

/// A value, or several in a list.
#[derive(Debug)]
struct OneOrMore<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(de::value::StrDeserializer::new(text)).map(|one| OneOrMore(vec![one]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMore(all))
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// Declares a setting that is read by a function of the command line from a text, so that both take the same.
macro_rules! text {
    ($name:ident, $of:ty, $parse:expr) => {
        #[derive(Debug)]
        struct $name($of);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$of, String> = $parse;
                parse(&text).map(Self).map_err(de::Error::custom)
            }
        }
    };
}

/// The same from a number.
macro_rules! number {
    ($name:ident, $of:ty, $parse:expr) => {
        #[derive(Debug)]
        struct $name($of);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = f64::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$of, String> = $parse;
                parse(&number.to_string()).map(Self).map_err(de::Error::custom)
            }
        }
    };
}

text!(Expected, String, known_architecture);
text!(Target, &'static Runtime, parse::target);
text!(Shape, InputShape, parse::shape);
text!(Layout, &'static ModelLibrary, known_layout);
text!(Strides, parse::Strides, parse::strides);
text!(Dilations, parse::StageDilations, parse::dilations);
text!(Stem, GivenStem, parse::stem);
text!(Function, Activation, parse::activation);
text!(Template, String, |text| Ok(text.to_owned()));
text!(Pattern, Matcher, Matcher::new);
number!(Tolerance, f64, parse::tolerance);
number!(Epsilon, f64, parse::epsilon);
number!(OutputStride, usize, parse::output_stride);
number!(Groups, u32, |text| match text.parse() {
    Ok(groups @ 1..=65536) => Ok(groups),
    Ok(_) | Err(_) => Err("expected a number from 1 to 65536".to_owned()),
});

/// One of the values of an option of the command line.
#[derive(Debug, Clone, Copy)]
struct Choice<T>(T);

impl<'de, T: Named> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::named(&text).map(Self).ok_or_else(|| {
            let names: Vec<&str> = T::ALL.iter().map(|choice| choice.name()).collect();
            de::Error::custom(format!("expected {}, found `{text}`", names.join(", ")))
        })
    }
}

/// `[levels]`: codes or names, and the levels that they get.
fn levels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<&'static str, Option<Level>>, D::Error> {
    let given = BTreeMap::<Code, String>::deserialize(deserializer)?;
    let level = |(code, level): (Code, String)| {
        let wanted = Override::new(code.0, parse::level(&level)?)?;
        Ok((wanted.code.id, wanted.level))
    };
    given.into_iter().map(level).collect::<Result<_, String>>().map_err(de::Error::custom)
}

text!(Code, &'static residua_ir::Code, parse::code);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(other.0.id)
    }
}

fn known_architecture(name: &str) -> Result<String, String> {
    if Form::named(name).is_empty() {
        return Err(format!("there is no architecture `{name}`, expected one such as resnet50v2 or resnet20_cifar"));
    }
    Ok(name.to_owned())
}

fn known_layout(name: &str) -> Result<&'static ModelLibrary, String> {
    let names = residua_resnet::layouts::MODEL_LIBRARIES.map(|library| library.name);
    ModelLibrary::named(name).ok_or_else(|| format!("there is no layout `{name}`{}", suggest::hint(name, names)))
}

impl Template {
    /// The path for a model: `{stem}` is its file name without the extension.
    fn of(&self, model: &Path) -> String {
        let stem = model.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        self.0.replace("{stem}", &stem)
    }
}

/// A pattern of paths: `*` and `?` within a name, `**` across folders, `[ab]`, `{a,b}`, and `\` before what means itself.
#[derive(Debug)]
struct Matcher {
    glob: String,
    /// Whether it is about the name alone, in whatever folder.
    name: bool,
}

impl Matcher {
    fn new(text: &str) -> Result<Self, String> {
        let name = !text.contains('/');
        let text = text.strip_prefix("./").unwrap_or(text);
        // What matches is a file, so a folder at the end means all in it; `!` has no meaning here.
        let text = if text.ends_with("**/") { &text[..text.len() - 1] } else { text };
        let glob = if text.starts_with('!') { format!("\\{text}") } else { text.to_owned() };
        fast_glob::validate(&glob).map_err(|error| error.to_string())?;
        Ok(Self { glob, name })
    }
}

impl Pattern {
    fn matches(&self, place: &str) -> bool {
        let name = place.rsplit('/').next().unwrap_or(place);
        fast_glob::glob_match(&self.0.glob, if self.0.name { name } else { place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).map(|_| ()).unwrap_err().at(Path::new("residua.toml")).to_string()
    }

    fn settings(text: &str, model: &str) -> Check {
        let (general, models) = parse(text).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut settings = Check::default();
        general.apply(&mut settings, Path::new("ci"), Path::new(model));
        for section in models.iter().filter(|section| section.matches(model)) {
            section.apply(&mut settings, Path::new("ci"), Path::new(model));
        }
        settings
    }

    #[test]
    fn what_is_general_holds_unless_a_model_says_otherwise() {
        let text = r#"
            fail-on = "warning"
            tolerance = 1e-4
            golden = "golden/{stem}.npz"
            dtype = "f16"
            target = ["tract", "ort-1.20"]
            [levels]
            mixed-epsilon = "off"
            R301 = "note"

            [[model]]
            files = "*.pth"
            variant = "v1"
            epsilon = 1e-3
            norm-groups = 32
            levels.R301 = "error"

            [[model]]
            files = ["models/v2/*.onnx", "extra/**"]
            expect = "resnet50v2"
            tolerance = 0
            input-shape = "1,3,224,224"
        "#;
        let found = settings(text, "models/a.onnx");
        assert_eq!((found.fail_on, found.tolerance, found.expect), (FailOn::Warning, Some(1e-4), None));
        assert_eq!(found.golden, Some(PathBuf::from("ci/golden/a.npz")));
        let targets: Vec<&str> = found.target.iter().map(|runtime| runtime.name).collect();
        assert_eq!(targets, ["tract", "ort-1.20"]);
        assert_eq!(found.dtype, Some(Dtype::F16));
        assert_eq!((found.levels["R203"], found.levels["R301"]), (None, Some(Level::Note)));
        let found = settings(text, "some/where/b.pth");
        assert_eq!((found.open.variant, found.open.epsilon), (Some(Variant::V1), Some(1e-3)));
        assert_eq!((found.open.norm_groups, found.levels["R301"]), (Some(32), Some(Level::Error)));
        for model in ["models/v2/c.onnx", "extra/deep/er/c.onnx"] {
            let found = settings(text, model);
            assert_eq!((found.expect.as_deref(), found.tolerance), (Some("resnet50v2"), Some(0.0)), "{model}");
            assert_eq!(found.open.input_shapes[0].shape, [1, 3, 224, 224]);
        }
        assert_eq!(settings(text, "models/v2/deep/c.onnx").expect, None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
        for (text, expected) in [
            ("\nexepct = \"resnet50\"", "residua.toml:2: there is no setting `exepct`; did you mean `expect`?"),
            (
                "expect = \"resnet51\"",
                "residua.toml:1: there is no architecture `resnet51`, expected one such as resnet50v2 or resnet20_cifar",
            ),
            ("\n\ntolerance = -1", "residua.toml:3: expected a number of at least 0, such as 1e-5"),
            ("fail-on = \"fatal\"", "residua.toml:1: expected error, warning, note, never, found `fatal`"),
            (
                "[[model]]\nfiles = \"a\"\nfils = \"b\"",
                "residua.toml:3: there is no setting `fils`; did you mean `files`?",
            ),
            (
                "files = \"a\"",
                "residua.toml: `files` belongs into a [[model]]; what stands outside of one holds for all models",
            ),
        ] {
            assert_eq!(wrong(text), expected);
        }
        for (text, part) in [
            ("\n[levels]\nmixed-epsilom = \"off\"", "did you mean `mixed-epsilon`?"),
            ("[levels]\nR301 = \"of\"", "expected off, note, warning or error, found `of`"),
            ("[levels]\nR101 = \"off\"", "it stays an error"),
            ("[[model]]\nexpect = \"resnet50\"", "without `files`"),
            ("[[model]]\nfiles = \"[\"", "residua.toml:2"),
            ("source-layout = \"torchvison\"", "did you mean `torchvision`?"),
            ("variant = 1", "residua.toml:1"),
            ("targets = [\"tract\", \"onnxruntime\"]", "there is no runtime `onnxruntime`"),
            ("dtype = \"f8\"", "expected f32, f16, bf16, found `f8`"),
            ("golden", "residua.toml:1"),
        ] {
            assert!(wrong(text).contains(part), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn patterns_match_names_or_places() {
        for (pattern, places, others) in [
            ("*.onnx", &["a.onnx", "models/deep/a.onnx", ".onnx"][..], &["a.onnx.data", "a.onnx/b"][..]),
            ("./*.onnx", &["a.onnx"], &["models/a.onnx"]),
            ("models/*.onnx", &["models/a.onnx"], &["models/deep/a.onnx", "other/models/a.onnx"]),
            ("**/v2/*", &["v2/a", "x/y/v2/a"], &["v2/x/a", "xv2/a"]),
            ("models/**", &["models/a", "models/x/a"], &["models", "model/a"]),
            ("models/**/", &["models/a", "models/x/a"], &["model/a"]),
            ("a/**/b", &["a/b", "a/x/y/b"], &["ab", "a/xb"]),
            ("resnet{18,50*}.h5", &["resnet18.h5", "x/resnet50v2.h5"], &["resnet34.h5", "resnet18v2.h5"]),
            ("m[0-9].h5", &["m7.h5"], &["m.h5", "m77.h5", "mx.h5"]),
            ("m[!0-9].h5", &["mx.h5"], &["m7.h5"]),
            ("?.h5", &["a.h5"], &["ab.h5", ".h5"]),
            ("\\*.h5", &["*.h5"], &["a.h5"]),
            ("!a.h5", &["!a.h5"], &["a.h5", "b.h5"]),
        ] {
            let pattern = Pattern(Matcher::new(pattern).unwrap());
            for place in places {
                assert!(pattern.matches(place), "{pattern:?} should match {place}");
            }
            for place in others {
                assert!(!pattern.matches(place), "{pattern:?} should not match {place}");
            }
        }
        for (pattern, expected) in [("[", "unclosed character class"), ("{a", "unclosed brace"), ("a\\", "backslash")] {
            let error = Matcher::new(pattern).unwrap_err();
            assert!(error.contains(expected), "{pattern}: {error}");
        }
    }
}
