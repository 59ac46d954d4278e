//! A network of a standard name with seeded weights, so that anyone can try a runtime without a download.

use residua_ir::{GraphError, Shown, Source, Tensor};
use residua_resnet::recipe::{self, Bound, Input, Wanted};
use residua_resnet::{Field, Recipe};

use crate::error::{Result, bail, ensure};
use crate::initial::{Initial, kernel};
use crate::model::Model;
use crate::suggest;

/// What a new network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Classes; 1000, or 10 for CIFAR's networks, where nothing is said.
    pub classes: Option<usize>,
    /// Channels, rows and columns of the image; 3, 224, 224, or 32, 32 for CIFAR's networks, where nothing is said.
    pub input: Option<[usize; 3]>,
    /// Where its weights come from.
    pub seed: u64,
}

impl Default for New {
    fn default() -> Self {
        Self { classes: None, input: None, seed: 1 }
    }
}

/// Most classes of a network: beyond, a classifier is larger than any network before it.
const MOST_CLASSES: usize = 1 << 20;

impl New {
    /// The network of a name: kernels are uniform as He et al. 2015 have it, the classifier's as Glorot and Bengio 2010,
    /// biases 0, norms do nothing. The same name and options give the same bytes on every machine.
    ///
    /// # Errors
    /// Where no recipe makes a network of this name, or its sizes are beyond what can be worked with.
    pub fn make(&self, name: &str) -> Result<Model> {
        let cifar = name.to_ascii_lowercase().ends_with("_cifar");
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
        let input = Input { channels, size: Some([height, width]) };
        let Some(recipe) = Recipe::named(name, input, classes) else {
            let names = recipe::EXAMPLES;
            bail!(
                "no recipe makes a network called `{}`{} (there are {} and their kin of other depths)",
                name.shown(),
                suggest::hint(name, names),
                names.join(", ")
            );
        };
        let source = Source {
            notes: vec![format!("made from its name with seed {}; it is not trained", self.seed)],
            architecture: recipe.standard_name(),
            ..Source::default()
        };
        let mut place = 0;
        let graph = recipe.build::<GraphError>(source, Vec::new(), &mut |wanted: &Wanted| {
            place += 1;
            let name = format!("{}.{}", wanted.layer.name, wanted.slot.field);
            let tensor = self.tensor(wanted, place);
            let tensor = tensor.map_err(|source| GraphError::Tensor { name: name.clone().into(), source })?;
            Ok(Bound { tensor, location: String::new(), name })
        })?;
        Model::from_graph(name, graph)
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
