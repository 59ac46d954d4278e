//! The layers of a network, one behind the other, with sizes from the shapes of their weights.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::functional::Layers;
use super::Pooling;
use crate::error::{Error, Result};

/// Shapes of the weights of each layer of a file, by its name, as Keras stores them; none for layers without weights.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    pub(crate) layers: BTreeMap<String, Vec<Vec<usize>>>,
    /// Whether the layers without weights are there too.
    pub(crate) lists_weightless: bool,
}

/// What names begin with that Keras makes up, or that say that a layer does nothing or depends on the version of Keras. Padding is in the
/// layers behind it for some versions.
const OPEN: [&str; 11] = [
    "add",
    "avg_pool",
    "drop",
    "flatten",
    "global_",
    "input",
    "max_pool",
    "rescaling",
    "reshape",
    "softmax",
    "zero_padding2d",
];

impl Shapes {
    /// Whether a layer has weights.
    pub(super) fn has(&self, name: &str) -> bool {
        self.layers.get(name).is_some_and(|shapes| !shapes.is_empty())
    }

    /// Whether the file lists a layer whose name Keras made of this, with weights or without.
    pub(super) fn lists(&self, name: &str) -> bool {
        !self.numbered(name).is_empty()
    }

    /// Names that Keras made of a class, in the order of their numbers.
    pub(super) fn numbered(&self, class: &str) -> Vec<String> {
        let number = |name: &str| match name.strip_prefix(class)? {
            "" => Some(0),
            rest => rest.strip_prefix('_')?.parse::<u32>().ok(),
        };
        let mut found: Vec<(u32, &String)> =
            self.layers.keys().filter_map(|name| Some((number(name)?, name))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name.clone()).collect()
    }

    fn of(&self, layer: &str, what: &str) -> Result<&[Vec<usize>]> {
        self.layers.get(layer).filter(|shapes| !shapes.is_empty()).map(Vec::as_slice).ok_or_else(|| {
            Error::MissingTensor {
                layer: layer.into(),
                tensor: what.into(),
                expected: "any".into(),
                found: "nothing".into(),
            }
        })
    }
}

/// How a convolution walks.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    pub(super) stride: usize,
    pub(super) padding: &'static str,
    pub(super) activation: &'static str,
}

impl Walk {
    pub(super) const SAME: Self = Self { stride: 1, padding: "same", activation: "linear" };

    pub(super) fn valid(stride: usize) -> Self {
        Self { stride, padding: "valid", activation: "linear" }
    }
}

/// See the [module](self).
pub(super) struct Net<'a> {
    layers: Layers,
    shapes: &'a Shapes,
    pooling: Pooling,
    notes: Vec<String>,
}

impl<'a> Net<'a> {
    pub(super) fn new(shapes: &'a Shapes, pooling: Pooling) -> Self {
        Self { layers: Layers::new(None, "channels_last"), shapes, pooling, notes: Vec::new() }
    }

    /// What a file that lists its layers without weights says otherwise than what was written: a layer that only one of them has.
    pub(super) fn unlike(&self) -> Option<String> {
        if !self.shapes.lists_weightless {
            return None;
        }
        let settled = |name: &&str| {
            !OPEN.iter().any(|open| name.starts_with(open)) && !name.contains("drop") && !name.ends_with("_pad")
        };
        let missing = self.layers.names().filter(settled).find(|name| !self.shapes.layers.contains_key(*name));
        if let Some(name) = missing {
            return Some(format!("lists no `{name}`"));
        }
        let empty = self.shapes.layers.iter().filter(|(_, shapes)| shapes.is_empty()).map(|(name, _)| name.as_str());
        let mut more = empty.filter(settled).filter(|name| !self.layers.has(name));
        more.next().map(|name| format!("lists `{}` besides", name.escape_debug()))
    }

    /// The configuration, and what was noted.
    pub(super) fn finish(self, name: &str, output: &str) -> (Value, Vec<String>) {
        (self.layers.in_keras_order(output).model_of(name, "input_layer", output), self.notes)
    }

    pub(super) fn has(&self, layer: &str) -> bool {
        self.shapes.has(layer)
    }

    pub(super) fn shapes(&self) -> &'a Shapes {
        self.shapes
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Images with the channels that the first convolution takes; of this side, or of any.
    pub(super) fn image(&mut self, first: &str, side: Option<usize>) -> Result<String> {
        let [_, _, channels, _] = self.kernel(first)?;
        self.layers.input("input_layer", Some(json!([side, side, channels])))
    }

    /// Rows, columns, channels that it takes, channels that it gives.
    pub(super) fn kernel(&self, layer: &str) -> Result<[usize; 4]> {
        let shapes = self.shapes.of(layer, "kernel")?;
        let kernel = shapes.first().and_then(|shape| <[usize; 4]>::try_from(shape.as_slice()).ok());
        kernel.ok_or_else(|| misfit(layer, "Conv2D", "a kernel of four axes", shapes))
    }

    /// Features that a dense layer takes and gives.
    pub(super) fn matrix(&self, layer: &str) -> Result<[usize; 2]> {
        let shapes = self.shapes.of(layer, "kernel")?;
        let kernel = shapes.first().and_then(|shape| <[usize; 2]>::try_from(shape.as_slice()).ok());
        kernel.ok_or_else(|| misfit(layer, "Dense", "a kernel of two axes", shapes))
    }

    pub(super) fn conv(&mut self, x: &str, name: &str, walk: Walk) -> Result<String> {
        let [rows, columns, _, filters] = self.kernel(name)?;
        let bias = self.shapes.of(name, "kernel")?.len() > 1;
        let keys = json!({
            "filters": filters, "kernel_size": [rows, columns], "strides": [walk.stride, walk.stride], "padding": walk.padding,
            "use_bias": bias, "activation": walk.activation, "data_format": "channels_last",
        });
        self.layers.add("Conv2D", name, keys, &[x])
    }

    pub(super) fn depthwise(&mut self, x: &str, name: &str, walk: Walk) -> Result<String> {
        let [rows, columns, _, multiplier] = self.kernel(name)?;
        let bias = self.shapes.of(name, "kernel")?.len() > 1;
        let keys = json!({
            "kernel_size": [rows, columns], "strides": [walk.stride, walk.stride], "padding": walk.padding, "use_bias": bias,
            "depth_multiplier": multiplier, "activation": walk.activation, "data_format": "channels_last",
        });
        self.layers.add("DepthwiseConv2D", name, keys, &[x])
    }

    pub(super) fn separable(&mut self, x: &str, name: &str) -> Result<String> {
        let [rows, columns, _, multiplier] = self.kernel(name)?;
        let shapes = self.shapes.of(name, "kernel")?;
        let filters = shapes.get(1).and_then(|shape| shape.get(3)).copied();
        let filters = filters.ok_or_else(|| misfit(name, "SeparableConv2D", "two kernels", shapes))?;
        let keys = json!({
            "filters": filters, "kernel_size": [rows, columns], "strides": [1, 1], "padding": "same",
            "use_bias": shapes.len() > 2, "depth_multiplier": multiplier, "activation": "linear",
            "data_format": "channels_last",
        });
        self.layers.add("SeparableConv2D", name, keys, &[x])
    }

    pub(super) fn norm(&mut self, x: &str, name: &str, epsilon: f64) -> Result<String> {
        self.shapes.of(name, "gamma")?;
        let keys = json!({ "axis": -1, "epsilon": epsilon, "center": true, "scale": true });
        self.layers.add("BatchNormalization", name, keys, &[x])
    }

    pub(super) fn activation(&mut self, x: &str, name: &str, function: &str) -> Result<String> {
        self.layers.add("Activation", name, json!({ "activation": function }), &[x])
    }

    pub(super) fn relu6(&mut self, x: &str, name: &str) -> Result<String> {
        self.layers.add("ReLU", name, json!({ "max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0 }), &[x])
    }

    pub(super) fn pad(&mut self, x: &str, name: &str, before: usize, behind: usize) -> Result<String> {
        let keys = json!({ "padding": [[before, behind], [before, behind]], "data_format": "channels_last" });
        self.layers.add("ZeroPadding2D", name, keys, &[x])
    }

    pub(super) fn pool(&mut self, x: &str, class: &str, name: &str, size: usize, padding: &str) -> Result<String> {
        let keys = json!({
            "pool_size": [size, size], "strides": [2, 2], "padding": padding, "data_format": "channels_last",
        });
        self.layers.add(class, name, keys, &[x])
    }

    pub(super) fn join(&mut self, class: &str, name: &str, inputs: &[&str]) -> Result<String> {
        let keys = if class == "Concatenate" { json!({ "axis": -1 }) } else { json!({}) };
        self.layers.add(class, name, keys, inputs)
    }

    /// A layer of any class.
    pub(super) fn layer(&mut self, x: &str, class: &str, name: &str, keys: Value) -> Result<String> {
        self.layers.add(class, name, keys, &[x])
    }

    pub(super) fn dense(&mut self, x: &str, name: &str, activation: &str) -> Result<String> {
        let [_, units] = self.matrix(name)?;
        let keys = json!({ "units": units, "activation": activation, "use_bias": true });
        self.layers.add("Dense", name, keys, &[x])
    }

    /// Means over all pixels; as images of one pixel where axes are kept.
    pub(super) fn mean(&mut self, x: &str, name: &str, keep: bool) -> Result<String> {
        let keys = json!({ "data_format": "channels_last", "keepdims": keep });
        self.layers.add("GlobalAveragePooling2D", name, keys, &[x])
    }

    /// Means and a dense layer with a softmax of this name; without one, what follows the last map.
    pub(super) fn top(&mut self, x: &str, dense: &str) -> Result<String> {
        if self.has(dense) {
            let x = self.mean(x, "avg_pool", false)?;
            self.taken_softmax(dense);
            return self.dense(&x, dense, "softmax");
        }
        self.without_top(x)
    }

    pub(super) fn taken_softmax(&mut self, dense: &str) {
        self.note(format!("not in the file: a softmax behind `{dense}`, as Keras Applications have it"));
    }

    /// The last map, or what a pool makes of it.
    pub(super) fn without_top(&mut self, x: &str) -> Result<String> {
        let keys = json!({ "data_format": "channels_last", "keepdims": false });
        match self.pooling {
            Pooling::None => {
                self.note("not in the file: no top, the network gives its last map");
                Ok(x.to_owned())
            }
            Pooling::Mean => self.layers.add("GlobalAveragePooling2D", "avg_pool", keys, &[x]),
            Pooling::Max => self.layers.add("GlobalMaxPooling2D", "max_pool", keys, &[x]),
        }
    }
}

fn misfit(layer: &str, class: &str, expected: &str, found: &[Vec<usize>]) -> Error {
    let found: Vec<String> = found.iter().map(|shape| format!("{shape:?}")).collect();
    let problem = format!("expected {expected}, found {}", found.join(" "));
    Error::Misfit { layer: layer.into(), kind: class.into(), problem: problem.into() }
}
