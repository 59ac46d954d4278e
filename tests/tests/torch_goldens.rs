//! Every PyTorch and Hugging Face fixture computes what its own framework computed, in both engines, told from names and shapes
//! (or from what else its file says); has the parameters that its framework counts; and fits its own layout again.
//!
//! Fixtures are found by walking the archives, so that new ones are covered; the numbers of them are asserted.

#![allow(clippy::panic, reason = "a panic is how a test fails")]

use residua_exec::{Array, Executor, Options, Precision, compare};
use residua_ir::{Checked, Role, validate};
use residua_resnet::layouts::{MODEL_LIBRARIES, ModelLibrary};
use residua_resnet::{analyse, fit_layout};
use residua_tests::{Fixture, Table};

/// Largest difference, relative to the largest value, from what the framework computed.
const TOLERANCE: f64 = 1e-5;

fn checked(fixture: &Fixture) -> Result<Checked, String> {
    let graph = residua_import::load(&fixture.path).map_err(|error| error.to_string())?;
    validate(graph).map_err(|error| error.to_string())
}

fn run(fixture: &Fixture, precision: Precision) -> Result<(), String> {
    let text = |error: residua_exec::ExecError| error.to_string();
    let checked = checked(fixture)?;
    let array = |prefix: &str| -> Result<Array, String> {
        let mut arrays = fixture.arrays(prefix);
        let (_, shape, values) = arrays.pop().ok_or_else(|| format!("the golden file has no {prefix}"))?;
        Array::new(shape, values).map_err(text)
    };
    let executor = Executor::new(&checked, &Options { precision, ..Options::default() }).map_err(text)?;
    let results = executor.run(&[array("input/")?]).map_err(text)?;
    let [found] = &results.outputs[..] else { return Err("it has not one output".to_owned()) };
    let difference = compare::difference(&array("output/")?, found).map_err(text)?;
    // Fifty layers two channels wide are ill-conditioned: the framework's own f32 outputs are this far from its f64 ones, and both
    // sides round. The f64 engine needs no such allowance.
    let noise = fixture.facts()["f32_noise"].as_f64().unwrap_or(0.0);
    let limit = match precision {
        Precision::F32 => TOLERANCE.max(3.0 * noise),
        Precision::F64 => TOLERANCE,
    };
    if difference.max_rel < limit {
        return Ok(());
    }
    Err(format!("it differs by {:.2e} of its largest value", difference.max_rel))
}

fn every_fixture_computes_what_its_framework_computed_in_f32(fixture: &Fixture) -> Result<(), String> {
    run(fixture, Precision::F32)
}

fn every_fixture_computes_what_its_framework_computed_in_f64(fixture: &Fixture) -> Result<(), String> {
    run(fixture, Precision::F64)
}

fn every_parameter_is_counted_as_the_framework_counts_it(fixture: &Fixture) -> Result<(), String> {
    let (checked, facts) = (checked(fixture)?, fixture.facts());
    let count = |roles: &[Role]| -> usize {
        let parameters = checked.graph().parameters().iter();
        parameters.filter(|parameter| roles.contains(&parameter.role)).map(|parameter| parameter.tensor.len()).sum()
    };
    for (key, found) in [("total", count(&[Role::Weight, Role::Statistic])), ("trainable", count(&[Role::Weight]))] {
        let expected = facts["parameters"][key].as_u64();
        if expected != Some(found as u64) {
            return Err(format!("{key}: {expected:?} there, {found} here"));
        }
    }
    Ok(())
}

fn every_fixture_fits_the_layout_that_it_came_in(fixture: &Fixture) -> Result<(), String> {
    let (checked, facts) = (checked(fixture)?, fixture.facts());
    let Some(layout) = facts["layout"].as_str() else {
        let fits = MODEL_LIBRARIES.iter().find(|library| fit_layout(&checked, &analyse(&checked), library).is_ok());
        return fits
            .map_or(Ok(()), |library| Err(format!("it fits {}, whose code makes no such network", library.name)));
    };
    let library = ModelLibrary::named(layout).ok_or("its facts name a layout that is none")?;
    let fitted = fit_layout(&checked, &analyse(&checked), library).map_err(|reasons| reasons.join("; "))?;
    if fitted.is_computed() { Err("something is computed on the way to its own layout".to_owned()) } else { Ok(()) }
}

fn files_with_the_tensors_of_another_network_are_refused_where_they_say_so() {
    let says = [
        ("dilates", "`layer1.0.conv1`"),
        ("filters", "(timm.layers.blur_pool.BlurPool2d)"),
        ("four_pixels", "`output_size` is [2, 2]"),
        ("mean_pool", "(torch.nn.modules.pooling.AvgPool2d)"),
        ("named_aa", "`seresnetaa50d`, as `args.model` in the file"),
        ("named_blur", "`resnetblur18`, as `arch` in the file"),
        ("no_mean", "has AdaptiveAvgPool2d there"),
        ("reflects", "`padding_mode` is reflect"),
        ("strides", "`layer3.0.conv1`"),
        ("unstandardised", "standardise its kernel"),
    ];
    let files = residua_tests::torch_refused();
    assert_eq!(files.iter().map(|file| &*file.name).collect::<Vec<_>>(), says.map(|(name, _)| name));
    for (file, (name, part)) in files.iter().zip(says) {
        let error = residua_import::load(&file.path).map(|_| ()).map_err(|error| error.to_string());
        assert!(error.as_ref().is_err_and(|error| error.contains(part)), "{name}: {error:?}");
    }
}

fn main() {
    let mut table = Table::new();
    table = table.fixtures(
        "every_fixture_computes_what_its_framework_computed_in_f32",
        residua_tests::torch(),
        every_fixture_computes_what_its_framework_computed_in_f32,
    );
    table = table.fixtures(
        "every_fixture_computes_what_its_framework_computed_in_f64",
        residua_tests::torch(),
        every_fixture_computes_what_its_framework_computed_in_f64,
    );
    table = table.fixtures(
        "every_parameter_is_counted_as_the_framework_counts_it",
        residua_tests::torch(),
        every_parameter_is_counted_as_the_framework_counts_it,
    );
    table = table.fixtures(
        "every_fixture_fits_the_layout_that_it_came_in",
        residua_tests::torch(),
        every_fixture_fits_the_layout_that_it_came_in,
    );
    table = table.test(
        "files_with_the_tensors_of_another_network_are_refused_where_they_say_so",
        files_with_the_tensors_of_another_network_are_refused_where_they_say_so,
    );
    table.run()
}
