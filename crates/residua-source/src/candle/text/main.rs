//! Predicts images: `cargo run --release -- IMAGE…`.

use std::path::Path;
use std::process::ExitCode;

use candle_core::{Device, Error, Module, Result, Tensor};

use @CRATE@ as network;

/// How many classes are shown.
const SHOWN: usize = 5;

fn main() -> ExitCode {
    let images: Vec<String> = std::env::args().skip(1).collect();
    if images.is_empty() {
        eprintln!("usage: @PACKAGE@ IMAGE...");
        return ExitCode::from(2);
    }
    match predict(&images) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the best classes of each image.
fn predict(images: &[String]) -> Result<()> {
    let device = Device::cuda_if_available(0)?;
    let model = network::load(Path::new(network::WEIGHTS), &device)?;
    let labels = network::labels();
    for image in images {
        let (values, shape) = network::preprocess::read(Path::new(image)).map_err(Error::wrap)?;
        let input = Tensor::from_vec(values, shape.as_slice(), &device)?;
        let output = model.forward(&input)?;
@SCORES@        let scores = output.flatten_all()?.to_vec1::<f32>()?;
        let mut best: Vec<usize> = (0..scores.len()).collect();
        best.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        println!("{image}");
        for class in best.into_iter().take(SHOWN) {
            let label = labels.get(class).copied().unwrap_or_default();
            println!("{:>9.4}  {class} {label}", scores[class]);
        }
    }
    Ok(())
}
