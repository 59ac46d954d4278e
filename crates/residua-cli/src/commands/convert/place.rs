//! Where the output goes and in which format, from OUT and the options.

use std::path::PathBuf;

use anyhow::{Result, bail};
use residua::emit::place::MadeFolder;
use residua::ir::Shown;
use residua::options::Layout;

use crate::args::{ConvertArgs, OutputFormat};

/// The output's format and its main file.
pub(super) struct Place {
    pub(super) format: OutputFormat,
    pub(super) file: PathBuf,
    /// A folder that is to be made for it.
    folder: Option<PathBuf>,
}

impl Place {
    /// From the arguments; options that are for another format are refused.
    pub(super) fn of(args: &ConvertArgs) -> Result<Self> {
        let folder =
            args.out.is_dir() || args.out.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]);
        let format = format(args, folder)?;
        refuse_other_formats(args, format)?;
        let name = match format {
            OutputFormat::Onnx => "model.onnx",
            OutputFormat::Safetensors => "model.safetensors",
            OutputFormat::Candle | OutputFormat::Burn | OutputFormat::Tract | OutputFormat::Rten => {
                return Ok(Self { format, file: args.out.clone(), folder: None });
            }
        };
        let file = if folder { args.out.join(name) } else { args.out.clone() };
        Ok(Self { format, file, folder: (folder && !args.out.exists()).then(|| args.out.clone()) })
    }

    /// Makes the folder, where there is none.
    pub(super) fn prepare(&self) -> Result<Option<MadeFolder>> {
        Ok(self.folder.as_deref().map(MadeFolder::make).transpose()?)
    }
}

fn format(args: &ConvertArgs, folder: bool) -> Result<OutputFormat> {
    let extension = args.out.extension().filter(|_| !folder).map(|end| end.to_string_lossy().to_lowercase());
    match (args.to, extension.as_deref()) {
        (Some(format), _) => Ok(format),
        (None, Some("onnx")) => Ok(OutputFormat::Onnx),
        (None, Some("safetensors")) => Ok(OutputFormat::Safetensors),
        (None, None) if folder && args.safetensors.layout.is_some() => Ok(OutputFormat::Safetensors),
        (None, _) if folder => bail!("{} is a folder: say with --to what to write into it", args.out.shown()),
        (None, Some(_) | None) => {
            bail!("{}: expected a name that ends in .onnx or .safetensors, or --to", args.out.shown())
        }
    }
}

fn refuse_other_formats(args: &ConvertArgs, format: OutputFormat) -> Result<()> {
    let onnx_only = [
        ("--opset", args.onnx.opset.is_some()),
        ("--input-layout", args.onnx.input_layout.is_some()),
        ("--keep-io-types", args.onnx.keep_io_types),
        ("--external-data", args.onnx.external_data),
    ];
    let source_only = [
        ("--runtime-version", args.source.runtime_version.is_some()),
        ("--labels", args.source.labels.is_some()),
        ("--verify", args.source.verify.is_some()),
    ];
    if let Some((option, _)) = source_only.iter().find(|(_, given)| *given && format.runtime().is_none()) {
        bail!("{option} is for crates with source: say --to candle");
    }
    match (format, args.safetensors.layout) {
        (OutputFormat::Onnx, Some(_)) => {
            bail!("--layout is for safetensors outputs, {} is an ONNX file", args.out.shown())
        }
        (OutputFormat::Onnx, None) => {}
        (OutputFormat::Candle | OutputFormat::Burn | OutputFormat::Tract | OutputFormat::Rten, layout) => {
            let not_source = [
                ("--layout", layout.is_some()),
                ("--manifest", args.manifest.is_some()),
                ("--free-batch", args.model.free_batch),
            ];
            if let Some((option, _)) = onnx_only.iter().chain(&not_source).find(|(_, given)| *given) {
                bail!("{option} is not for crates with source, which {} is to be", args.out.shown());
            }
        }
        (OutputFormat::Safetensors, layout) => {
            if let Some((option, _)) = onnx_only.iter().find(|(_, given)| *given) {
                bail!("{option} is for ONNX outputs, {} is a safetensors file", args.out.shown());
            }
            match layout.filter(|_| args.fold_bn) {
                None | Some(Layout::Residua) => {}
                Some(layout @ (Layout::Source | Layout::Keras)) => bail!(
                    "--fold-bn changes tensors, --layout {} keeps the source's own; choose one of them",
                    layout.name()
                ),
                Some(Layout::Library(name)) => bail!(
                    "--fold-bn takes the batch norms away, the code that reads --layout {name} has them; choose one of them"
                ),
            }
        }
    }
    Ok(())
}
