//! What the command line calls what a caller of the libraries can set.

use residua::ir::{Hint, hint};

/// From here on, messages name options.
pub(crate) fn name_options() {
    hint::call(option);
}

fn option(hint: Hint) -> &'static str {
    match hint {
        Hint::Which => "--which",
        Hint::HeadFrom => "--head-from",
        Hint::Config => "--hf-config",
        Hint::Strides => "--stride",
        Hint::Dilations => "--dilation",
        Hint::OutputStride => "--output-stride",
        Hint::StrideOn => "--variant",
        Hint::Stem => "--stem",
        Hint::Activation => "--activation",
        Hint::Epsilon => "--epsilon",
        Hint::NormGroups => "--norm-groups",
        Hint::Pooling => "--pooling",
        Hint::Interpolation => "--interpolation",
        Hint::Precision => "--precision",
        Hint::Dtype => "--dtype",
        Hint::InputShapes => "--input-shape",
        Hint::FreeBatch => "--free-batch",
        Hint::SourceLayout => "--source-layout",
        Hint::Inputs => "--input",
        Hint::Taps => "--tap",
        Hint::Top => "--top",
        Hint::Preprocess => "--preprocess",
        Hint::Resize => "--resize",
        Hint::Crop => "--crop",
        Hint::Antialias => "--antialias",
        Hint::Aspect => "--aspect",
        Hint::Channels => "--channels",
        Hint::BeforeSoftmax => "--before-softmax",
        Hint::AgainstSource => "--no-verify",
        Hint::KeepIoTypes => "--keep-io-types",
        Hint::Save => "--save",
        Hint::Baseline => "--update-baseline",
        Hint::Budget => "--budget",
        // One that came later is told by its own name, until it has a line here.
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_hint_is_an_option_that_there_is() {
        let cli = Cli::command();
        let all = cli.get_subcommands().flat_map(clap::Command::get_arguments).chain(cli.get_arguments());
        let options: Vec<String> = all.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect();
        for hint in Hint::ALL {
            assert!(options.iter().any(|known| known == option(hint)), "{hint:?} is `{}`", option(hint));
        }
    }
}
