//! A network of a standard name with seeded weights, so that anyone can try a runtime without a download.

mod dense;
mod variant;

use residua_ir::{GraphError, Shown, Source, Tensor};
use residua_resnet::recipe::{self, Bound, Input, Wanted};
use residua_resnet::{Field, Form, Recipe};

use crate::error::{Result, bail, ensure};
use crate::initial::{Initial, kernel};
use crate::model::Model;
use crate::suggest;
use dense::DenseNet;

/// What a new network is.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Classes; 1000, or 10 for CIFAR's networks, where nothing is said.
    pub classes: Option<usize>,
    /// Channels, rows and columns of the image; 3, 224, 224, or 32, 32 for CIFAR's networks, where nothing is said.
    pub input: Option<[usize; 3]>,
    /// What the channels of all layers are multiplied by: below 1 thin networks, above 1 fat ones.
    pub width: f64,
    /// The probability with which the last block survived in training by stochastic depth; that of the others falls
    /// linearly to it.
    pub survival: Option<f64>,
    /// Where its weights come from.
    pub seed: u64,
}

impl Default for New {
    fn default() -> Self {
        Self { classes: None, input: None, width: 1.0, survival: None, seed: 1 }
    }
}

/// Most classes of a network: beyond, a classifier is larger than any network before it.
const MOST_CLASSES: usize = 1 << 20;
/// Factors that channels can be multiplied by.
const WIDTHS: std::ops::RangeInclusive<f64> = 1.0 / 64.0..=16.0;
/// Names beside those of recipes.
const OTHERS: [&str; 4] = ["plain34", "plain56_cifar", "densenet121", "densenet161"];

impl New {
    /// The network of a name: kernels are uniform as He et al. 2015 have it, the classifier's as Glorot and Bengio 2010,
    /// biases 0, norms do nothing. The same name and options give the same bytes on every machine.
    ///
    /// # Errors
    /// Where no recipe makes a network of this name, or its sizes are beyond what can be worked with.
    pub fn make(&self, name: &str) -> Result<Model> {
        let lower = name.to_ascii_lowercase();
        let cifar = lower.ends_with("_cifar");
        let side = if cifar { 32 } else { 224 };
        let [channels, height, width] = self.input.unwrap_or([3, side, side]);
        let classes = self.classes.unwrap_or(if cifar { 10 } else { 1000 });
        ensure!((1..=MOST_CLASSES).contains(&classes), "expected 1 to {MOST_CLASSES} classes, found {classes}");
        let sides = 1..=residua_ir::preparation::MAX_SIDE;
        ensure!(
            (1..=1024).contains(&channels) && sides.contains(&height) && sides.contains(&width),
            "expected images of 1 to 1024 channels and sides from 1 to {}, found {channels}, {height}, {width}",
            residua_ir::preparation::MAX_SIDE
        );
        ensure!(
            WIDTHS.contains(&self.width),
            "expected a width from 1/64 to 16 times the usual one, found {}",
            self.width
        );
        ensure!(
            self.survival.is_none_or(|last| last > 0.0 && last <= 1.0),
            "expected a probability of survival above 0 and at most 1, found {}",
            self.survival.unwrap_or_default()
        );
        let input = Input { channels, size: Some([height, width]) };
        if let Some(dense) = self.dense(&lower, &input, classes) {
            ensure!(
                self.survival.is_none(),
                "stochastic depth is about blocks with shortcuts, {} has none",
                name.shown()
            );
            return Model::from_graph(name, dense.graph(self.source(Some(lower).filter(|_| self.is_usual())))?);
        }
        let plain = lower.strip_prefix("plain").map(|rest| format!("resnet{rest}"));
        let recipe = Recipe::named(plain.as_deref().unwrap_or(&lower), input, classes);
        // Plain networks are those of two 3x3 convolutions a block.
        let recipe = recipe.filter(|recipe| plain.is_none() || recipe.form.is_basic() && recipe.form.stride_on == 1);
        let Some(recipe) = recipe.and_then(|recipe| self.scaled(recipe)) else {
            let names: Vec<&str> = recipe::EXAMPLES.into_iter().chain(OTHERS).collect();
            bail!(
                "no recipe makes a network called `{}`{} (there are {} and their kin of other depths)",
                name.shown(),
                suggest::hint(name, names.iter().copied()),
                names.join(", ")
            );
        };
        let model = Model::from_graph(name, self.graph(&recipe, plain.is_none())?)?;
        match (plain, self.survival) {
            (Some(_), None) => Model::from_graph(name, variant::without_shortcuts(model.graph(), model.anatomy())?),
            (Some(_), Some(_)) => {
                bail!("stochastic depth is about blocks with shortcuts, {} has none", name.shown())
            }
            (None, Some(last)) => Model::from_graph(name, variant::surviving(model.graph(), model.anatomy(), last)?),
            (None, None) => Ok(model),
        }
    }

    /// Whether it is what its name says in every size.
    fn is_usual(&self) -> bool {
        (self.width - 1.0).abs() < f64::EPSILON && self.survival.is_none()
    }

    fn source(&self, architecture: Option<String>) -> Source {
        Source {
            notes: vec![format!("made from its name with seed {}; it is not trained", self.seed)],
            architecture,
            ..Source::default()
        }
    }

    /// So many channels, a multiple of what they are divided into.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "channels of layers, times at most 16"
    )]
    fn channels(&self, usual: usize, groups: usize) -> usize {
        let groups = groups.max(1);
        let each = (usual as f64 * self.width / groups as f64).round() as usize;
        each.max(1) * groups
    }

    fn dense(&self, name: &str, input: &Input, classes: usize) -> Option<DenseNet> {
        let depth: usize = name.strip_prefix("densenet")?.parse().ok()?;
        let (layers, growth) = Form::dense(depth)?;
        // Twice what a layer adds, as in the paper and torchvision.
        let growth = self.channels(growth, 1);
        Some(DenseNet {
            name: name.to_owned(),
            layers,
            growth,
            stem: growth.saturating_mul(2),
            input: input.clone(),
            classes,
            seed: self.seed,
        })
    }

    /// The same network in another width; [`None`] where no recipe makes it.
    fn scaled(&self, mut recipe: Recipe) -> Option<Recipe> {
        if (self.width - 1.0).abs() < f64::EPSILON {
            return Some(recipe);
        }
        let groups = recipe.form.groups;
        // Group norms divide channels into 32.
        let of_norms = if recipe.form.group_norm { 32 } else { 1 };
        recipe.form.stem_width = self.channels(recipe.form.stem_width, of_norms);
        recipe.sizes.deep_stem = recipe.sizes.deep_stem.map(|width| self.channels(width, of_norms));
        recipe.sizes.gates = recipe.sizes.gates.iter().map(|&width| self.channels(width, 1)).collect();
        for stage in &mut recipe.form.stages {
            stage.width = self.channels(stage.width, groups.max(of_norms));
            stage.outputs = self.channels(stage.outputs, of_norms);
        }
        Some(recipe)
    }

    fn graph(&self, recipe: &Recipe, named: bool) -> Result<residua_ir::Graph> {
        let architecture = recipe.standard_name().filter(|_| named && self.is_usual());
        let mut place = 0;
        let mut find = |wanted: &Wanted| {
            place += 1;
            let name = format!("{}.{}", wanted.layer.name, wanted.slot.field);
            let tensor = self.tensor(wanted, place);
            let tensor = tensor.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?;
            Ok(Bound { tensor, location: String::new(), name })
        };
        Ok(recipe.build::<GraphError>(self.source(architecture), Vec::new(), &mut find)?)
    }

    fn tensor(&self, wanted: &Wanted, place: u64) -> Result<Tensor, residua_ir::TensorError> {
        let shape = wanted.shape;
        let all = |value: f32| Tensor::from_f32(shape.to_vec(), &vec![value; shape.iter().product()]);
        match wanted.slot.field {
            Field::Weight if shape.len() < 2 => all(0.25),
            Field::Weight => {
                let initial = if shape.len() == 2 { Initial::Glorot } else { Initial::He };
                kernel(initial, shape, self.seed, place)
            }
            Field::Bias | Field::Offset | Field::Mean | Field::Batches => all(0.0),
            Field::Scale | Field::Variance => all(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(name: &str, new: &New) -> usize {
        let model = new.make(name).unwrap();
        let parameters = model.graph().graph().parameters().iter();
        let weights = parameters.filter(|parameter| parameter.role == residua_ir::Role::Weight);
        weights.map(|parameter| parameter.tensor.shape().iter().product::<usize>()).sum()
    }

    /// `sum(p.numel() for p in model.parameters())` of torchvision 0.29.1; ResNet-56 of He et al. 2016 has 0.85 million.
    #[test]
    fn networks_have_as_many_weights_as_those_of_their_name() {
        let new = New::default();
        for (name, count) in [
            ("densenet121", 7_978_856),
            ("densenet161", 28_681_000),
            ("resnet18", 11_689_512),
            ("resnext50_32x4d", 25_028_904),
        ] {
            assert_eq!(learned(name, &new), count, "{name}");
        }
    }

    #[test]
    fn a_plain_network_is_the_residual_one_without_its_shortcuts() {
        let new = New { input: Some([3, 64, 64]), ..New::default() };
        for (name, residual, depth) in
            [("plain18", "resnet18", 18), ("plain34", "resnet34", 34), ("plain56_cifar", "resnet56_cifar", 56)]
        {
            let model = new.make(name).unwrap();
            assert!(model.anatomy().blocks.is_empty());
            let architecture = model.anatomy().architecture.as_ref().unwrap();
            assert_eq!((architecture.name.as_str(), architecture.depth), (format!("plain{depth}").as_str(), depth));
            assert!(learned(name, &new) <= learned(residual, &new), "{name}");
        }
        for none in ["plain50", "plain29v2_cifar", "plain55_cifar", "plain"] {
            assert!(new.make(none).is_err(), "{none}");
        }
    }

    #[test]
    fn thin_and_fat_networks_keep_depth_and_family_and_get_no_standard_name() {
        let small = |width| New { input: Some([3, 64, 64]), width, ..New::default() };
        for (name, width) in [
            ("resnet50", 0.25),
            ("resnet50v2", 0.125),
            ("resnext50_32x4d", 0.5),
            ("seresnet50", 0.5),
            ("resnet20_cifar", 2.0),
            ("densenet121", 0.25),
        ] {
            let model = small(width).make(name).unwrap();
            let (usual, found) = (small(1.0).make(name).unwrap(), model.anatomy().architecture.as_ref().unwrap());
            let usual = usual.anatomy().architecture.as_ref().unwrap();
            assert_eq!((found.depth, found.family), (usual.depth, usual.family), "{name}");
            assert!(usual.standard && !found.standard, "{name}: {}", found.name);
        }
        assert!(New { width: 0.0, ..New::default() }.make("resnet18").is_err());
        assert!(New { width: f64::NAN, ..New::default() }.make("resnet18").is_err());
    }

    #[test]
    fn blocks_that_may_not_survive_are_blocks_all_the_same() {
        let new = New { survival: Some(0.5), ..New::default() };
        let model = new.make("resnet20_cifar").unwrap();
        assert_eq!(model.anatomy().blocks.len(), 9);
        let literals: Vec<f32> = model
            .graph()
            .graph()
            .parameters()
            .iter()
            .filter(|parameter| parameter.role == residua_ir::Role::Literal)
            .map(|parameter| parameter.tensor.to_f32().unwrap()[0])
            .collect();
        assert_eq!(literals.len(), 9);
        assert!((literals[8] - 0.5).abs() < 1e-6 && (literals[0] - (1.0 - 0.5 / 9.0)).abs() < 1e-6, "{literals:?}");
        assert!(new.make("plain34").is_err() && new.make("densenet121").is_err());
        assert!(New { survival: Some(0.0), ..New::default() }.make("resnet18").is_err());
    }
}
