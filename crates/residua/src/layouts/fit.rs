//! Which naming layouts can hold a model, and what that takes.

use residua_ir::{Format, Framework};
use residua_resnet::layout_fit::{Fitted, FittedTensor, fit_layout};
use residua_resnet::layouts::{MODEL_LIBRARIES, ModelLibrary};
use residua_resnet::slot::Position;

use crate::model::Model;
use crate::options::Layout;

/// How a model is written in a layout.
#[derive(Debug)]
pub enum Fit {
    /// The whole model, its graph with it, under names of our own.
    Own,
    /// The whole model, its graph with it, under the source's names.
    OfSource,
    /// As the layout's own code reads it.
    Fitted(Box<Fitted>),
}

impl Fit {
    /// How `model` is written in `layout`.
    ///
    /// # Errors
    /// Why the layout cannot hold it, a sentence each.
    pub fn of(model: &Model, layout: Layout) -> Result<Self, Vec<String>> {
        let keras = model.checked.graph().source().framework == Framework::Keras;
        match layout {
            Layout::Residua => Ok(Self::Own),
            Layout::Source => {
                Ok(under_own_names(model).map_or(Self::OfSource, |fitted| Self::Fitted(Box::new(fitted))))
            }
            Layout::Keras if keras => Ok(Self::OfSource),
            Layout::Keras => in_library(model, "keras-applications"),
            Layout::Library(name) => in_library(model, name),
        }
    }

    /// The tensors, where the layout's own code is to read them.
    pub fn fitted(&self) -> Option<&Fitted> {
        match self {
            Self::Fitted(fitted) => Some(fitted),
            Self::Own | Self::OfSource => None,
        }
    }
}

fn in_library(model: &Model, name: &str) -> Result<Fit, Vec<String>> {
    let library: &'static ModelLibrary =
        ModelLibrary::named(name).ok_or_else(|| vec![format!("there is no layout `{name}`")])?;
    Ok(Fit::Fitted(Box::new(fit_layout(&model.checked, &model.anatomy, library)?)))
}

/// Names of the layouts that can hold a model.
pub fn names(model: &Model) -> Vec<&'static str> {
    Layout::all().filter(|(layout, ..)| Fit::of(model, *layout).is_ok()).map(|(_, name, _)| name).collect()
}

/// Whether a file held weights under PyTorch's names and nothing of ours.
pub(crate) fn is_plain(model: &Model) -> bool {
    let source = model.checked.graph().source();
    let of_ours = source.written_from.is_some();
    source.framework == Framework::Pytorch && source.format != Format::Onnx && !of_ours
}

/// The network under the names that its file has, without the prefixes of wrappers, where they are a layout's: nothing
/// added, nothing computed.
fn under_own_names(model: &Model) -> Option<Fitted> {
    if !is_plain(model) {
        return None;
    }
    let mut best: Option<Named> = None;
    for library in MODEL_LIBRARIES {
        let Ok(fitted) = fit_layout(&model.checked, &model.anatomy, library) else { continue };
        let Some(found) = Named::of(model, fitted) else { continue };
        if found.exactly {
            return Some(found.fitted);
        }
        best.get_or_insert(found);
    }
    best.map(|found| found.fitted)
}

/// A network under the names of its file.
struct Named {
    fitted: Fitted,
    /// Whether they are the layout's, one and all.
    exactly: bool,
}

impl Named {
    fn of(model: &Model, mut fitted: Fitted) -> Option<Self> {
        if fitted.is_computed() {
            return None;
        }
        // Counters that the file lacks.
        fitted.tensors.retain(|placed| !placed.from.is_empty());
        let graph = model.checked.graph();
        let name = |placed: &FittedTensor| match placed.from[..] {
            // torch.compile puts a segment of its own anywhere.
            [id] => graph.parameter(id).name.raw().replace("_orig_mod.", ""),
            _ => String::new(),
        };
        // A classifier of another name is told by its place alone.
        let is_classifier = |placed: &FittedTensor| matches!(placed.slot.position, Position::Dense(_));
        let mut trunk = fitted.tensors.iter().filter(|placed| !is_classifier(placed));
        let wrapper = Wrapper::between(&trunk.next()?.name, &name(fitted.tensors.first()?))?;
        if !trunk.all(|placed| Wrapper::between(&placed.name, &name(placed)).as_ref() == Some(&wrapper)) {
            return None;
        }
        let mut exactly = wrapper == Wrapper::Adds(String::new());
        for placed in &mut fitted.tensors {
            let own = name(placed);
            exactly &= own == placed.name;
            placed.name = wrapper.unwrapped(&own).to_owned();
        }
        Some(Self { fitted, exactly })
    }
}

/// How the names of a file differ from those of a layout.
#[derive(Debug, PartialEq, Eq)]
enum Wrapper {
    /// This stands before them.
    Adds(String),
    /// This, which the layout has, is lacking: a model that was saved without its classifier.
    Lacks(String),
}

impl Wrapper {
    fn between(layout: &str, file: &str) -> Option<Self> {
        let prefix = |prefix: &&str| prefix.is_empty() || prefix.ends_with('.');
        let adds = file.strip_suffix(layout).filter(prefix).map(|prefix| Self::Adds(prefix.to_owned()));
        adds.or_else(|| Some(Self::Lacks(layout.strip_suffix(file).filter(prefix)?.to_owned())))
    }

    fn unwrapped<'a>(&self, name: &'a str) -> &'a str {
        match self {
            Self::Adds(prefix) => name.strip_prefix(prefix.as_str()).unwrap_or(name),
            Self::Lacks(_) => name,
        }
    }
}

/// What is computed on the way, a phrase each with the number of tensors.
pub fn moves(fitted: &Fitted) -> Vec<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for how in fitted.tensors.iter().flat_map(|placed| &placed.moves) {
        // What follows the first quoted name is about this tensor only.
        let kind = how.split('`').next().unwrap_or(how).trim_end();
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds.into_iter().map(|(kind, count)| format!("{kind} ({})", crate::render::plural(count, "tensor"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_is_what_stands_before_a_layouts_names() {
        let between = Wrapper::between;
        let module = Wrapper::Adds("module.".to_owned());
        assert_eq!(between("conv1.weight", "module.conv1.weight").as_ref(), Some(&module));
        assert_eq!(module.unwrapped("module.fc.bias"), "fc.bias");
        assert_eq!(module.unwrapped("head.bias"), "head.bias");
        assert_eq!(between("conv1.weight", "conv1.weight"), Some(Wrapper::Adds(String::new())));
        let lacks = Some(Wrapper::Lacks("resnet.".to_owned()));
        assert_eq!(between("resnet.embedder.convolution.weight", "embedder.convolution.weight"), lacks);
        assert_eq!(between("conv1.weight", "myconv1.weight"), None);
        assert_eq!(between("conv1.weight", "conv2.weight"), None);
    }
}
