//! Predicts images: `cargo run --release -- IMAGE…`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

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
fn predict(images: &[String]) -> Result<(), Box<dyn Error>> {
@LOAD@    let labels = network::labels();
    for image in images {
        let (values, shape) = network::preprocess::read(Path::new(image))?;
@RUN@        let Some((scores, _)) = outputs.first() else {
            return Err("the network gives nothing".into());
        };
@SCORES@        let mut best: Vec<usize> = (0..scores.len()).collect();
        best.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        println!("{image}");
        for class in best.into_iter().take(SHOWN) {
            let label = labels.get(class).copied().unwrap_or_default();
            println!("{:>9.4}  {class} {label}", scores[class]);
        }
    }
    Ok(())
}
