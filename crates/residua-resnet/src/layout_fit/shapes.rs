//! Whether weights load where a network does not belong: every tensor that the code asks for is there in its shape.

use residua_ir::{Checked, validate};

use super::{Problem, channels, outside_of_forms, recipe};
use crate::anatomy::Anatomy;
use crate::form::Form;
use crate::layout_fit::source::Tensors;
use crate::layouts::{ModelClass, ModelLibrary};
use crate::recipe::Bound;

/// Whether model code of a library finds all its tensors in a network, in the shapes that it makes, whatever the network
/// does with them. Of one that [does not fit](super::fit_layout()) this says that the code loads it, and computes
/// something else.
#[must_use]
pub fn fits_by_shapes(model: &Checked, anatomy: &Anatomy, library: &ModelLibrary) -> bool {
    let Some(form) = Form::observed(anatomy) else { return false };
    let fits = |class: &ModelClass| {
        let form = as_built(&form, class);
        let ends = class.ends(channels(anatomy), !anatomy.head.dense.is_empty(), anatomy.head.pool.is_some());
        let first_stride = class.conventions.first_stride;
        ends.is_ok() && class.settings(&form, first_stride).is_ok() && finds_all(model, anatomy, &form, class)
    };
    outside_of_forms(model, anatomy).is_empty() && library.model_classes.iter().any(|class| fits(class))
}

/// A form with all of what shows in no shape as the code has it. Tensors that the code does not ask for, such as those of
/// gates, it does not miss.
fn as_built(form: &Form, class: &ModelClass) -> Form {
    let can = &class.can;
    Form {
        stride_on: can.stride_on.first().map_or(form.stride_on, |(conv, _)| *conv),
        stride_in: can.stride_in,
        squeeze_excite: form.squeeze_excite && can.gates,
        pooled_shortcut: can.pooled,
        blurred: false,
        ..form.clone()
    }
}

fn finds_all(model: &Checked, anatomy: &Anatomy, form: &Form, class: &ModelClass) -> bool {
    let tensors = Tensors::new(model, anatomy);
    let recipe = recipe(model, anatomy, form, class, &tensors);
    let built = recipe.build::<Problem>(Default::default(), Vec::new(), &mut |wanted| {
        let tensor = tensors.find(&recipe, wanted)?.tensor;
        Ok(Bound { tensor, name: wanted.slot.to_string(), location: String::new() })
    });
    built.is_ok_and(|graph| validate(graph).is_ok())
}
