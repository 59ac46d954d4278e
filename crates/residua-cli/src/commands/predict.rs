//! `predict`: the best classes of images.

use anyhow::Result;
use residua::error;
use residua::model::Model;
use residua::options::ImageOptions;
use residua::render::plural;
use residua::render::predictions::{Json, csv_head, csv_image};
use residua::scores::ScoreKind;
use residua::{Predict, Predictor};

use crate::args::{PredictArgs, PredictFormat};
use crate::console::Console;
use crate::exit::Outcome;
use crate::progress::Progress;
use crate::render::predictions;

pub(super) fn run(args: &PredictArgs, threads: Option<usize>, console: &mut Console) -> Result<Outcome> {
    let images = ImageOptions { upright: Some(args.orientation.upright()), ..args.image.options()? };
    let mut model = Model::open_strict(&args.model.path, &args.model.options())?;
    console.tell(&model);
    console.identify(&mut model)?;
    let progress = Progress::start(console, "predicting");
    let options = Predict {
        top: args.top as usize,
        labels: args.labels.clone(),
        images,
        batch: args.batch.map(|batch| batch as usize),
        limit: args.limit.map(|limit| limit as usize),
        threads,
        watch: progress.watch(),
    };
    let predictor = Predictor::new(&model, &args.images, options)?;
    for note in predictor.notes() {
        console.note(note);
    }
    let style = console.style();
    let out = console.out();
    let all = match args.format {
        PredictFormat::Json => {
            let mut json = Json::begin(out, &predictor)?;
            let all = predictor.run(|image| json.image(&image))?;
            json.end(&all)?;
            all
        }
        PredictFormat::Csv => {
            csv_head(out)?;
            predictor.run(|image| csv_image(out, &image))?
        }
        PredictFormat::Text => {
            let logits = predictor.kind() == ScoreKind::Logits;
            let mut first = true;
            predictor.run(|image| {
                let before = std::mem::take(&mut first);
                predictions::text(out, style, &image, logits, before).map_err(error::Error::from)
            })?
        }
    };
    drop(progress);
    for note in &all.notes {
        console.note(note);
    }
    if all.turned > 0 {
        let what = if predictor.upright() { "turned upright, as their EXIF data say" } else { "not upright as stored" };
        console.note(format!("{} of {} {what}", all.turned, plural(all.count, "image")));
    }
    if all.failed > 0 {
        console.complain(format!("{} of {} could not be predicted", all.failed, plural(all.count, "image")));
        return Ok(Outcome::Undone);
    }
    Ok(Outcome::Holds)
}
