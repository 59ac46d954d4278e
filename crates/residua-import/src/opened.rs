//! A model whose container is read, and whose network is told from it as often as somebody asks.

use residua_formats::keras::KerasFile;
use residua_formats::{Container, ModelSource};
use residua_ir::{Graph, Text};

use crate::error::Result;
use crate::{ImportError, LoadOptions, keras, onnx, preparation, safetensors, state_dict, weights};

/// A model that was opened: its container is parsed, its network not told yet.
///
/// ```no_run
/// use residua_import::{LoadOptions, Opened};
///
/// # fn main() -> Result<(), residua_import::ImportError> {
/// let opened = Opened::open("resnet50.pth")?;
/// let graph = opened.graph(&LoadOptions::default())?;
/// let which = LoadOptions { which: Some("state_dict_ema".to_owned()), ..LoadOptions::default() };
/// let makes_a_difference = !opened.gives(&graph, &which);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Opened {
    source: ModelSource,
    container: Container,
}

impl Opened {
    /// Reads a container: the file or folder is not read again.
    ///
    /// # Errors
    /// [`ImportError`], naming the file and the place in it.
    pub fn open(source: impl Into<ModelSource>) -> Result<Self, ImportError> {
        let source = source.into();
        Ok(Self { container: residua_formats::open(&source)?, source })
    }

    /// What it was read from.
    #[must_use]
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// What it holds.
    #[must_use]
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Whether the file holds its graph. It leaves nothing open then, and no [`LoadOptions`] are looked at.
    #[must_use]
    pub fn holds_graph(&self) -> bool {
        match &self.container {
            Container::Keras(file) => file.config.is_some(),
            Container::Onnx(_) => true,
            Container::Safetensors(file) => safetensors::holds_graph(file),
            Container::Torch(_) => false,
        }
    }

    /// The network.
    ///
    /// # Errors
    /// [`ImportError`], naming the file, and the layer or tensor it is about.
    pub fn graph(&self, options: &LoadOptions) -> Result<Graph, ImportError> {
        let name = self.source.stem();
        let graph = match &self.container {
            Container::Keras(file) if file.config.is_some() => {
                keras::import(file.clone(), &name).or_else(|error| weights_alone(file, &name, options).ok_or(error))
            }
            Container::Keras(file) => weights::import(file.clone(), &name, &options.given),
            Container::Onnx(file) => onnx::read(file, &name),
            Container::Safetensors(file) if safetensors::holds_graph(file) => safetensors::import(file.clone(), &name),
            Container::Safetensors(file) => state_dict::from_safetensors(file.clone(), &name, options),
            Container::Torch(file) => state_dict::from_torch(file.clone(), &name, options),
        };
        // Files that hold their graph have no use for a configuration of weights.
        let config = match &self.container {
            Container::Safetensors(_) | Container::Torch(_) if !self.holds_graph() => Some(options.config.as_deref()),
            Container::Keras(_) | Container::Onnx(_) | Container::Safetensors(_) | Container::Torch(_) => None,
        };
        let graph = graph.and_then(|mut graph| {
            preparation::read_beside(&self.source, config, &mut graph)?;
            Ok(graph)
        });
        graph.map_err(|problem| ImportError::in_file(self.source.name(), problem))
    }

    /// Whether these options give the network that `graph` is, which was told with others. So what changes nothing shows, such as
    /// an option about something that this file does not leave open.
    #[must_use]
    pub fn gives(&self, graph: &Graph, options: &LoadOptions) -> bool {
        self.holds_graph() || self.graph(options).is_ok_and(|other| other.to_string() == graph.to_string())
    }
}

/// The network that weights tell without the architecture that lies beside them, which is another one's.
fn weights_alone(file: &KerasFile, name: &str, options: &LoadOptions) -> Option<Graph> {
    let architecture = file.beside.as_ref()?;
    let alone = KerasFile { config: None, beside: None, ..file.clone() };
    let mut graph = weights::import(alone, name, &options.given).ok()?;
    let architecture = Text::from(architecture.as_str());
    let note = format!("`{architecture}`, which lies beside the weights, is the architecture of another network");
    graph.source_mut().notes.push(note);
    Some(graph)
}
