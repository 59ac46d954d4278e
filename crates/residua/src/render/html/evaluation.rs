//! An evaluation as one page that refers to nothing outside itself: figures, protocol, classes, matrix, reliability, and
//! thumbnails of the worst mistakes.
//!
//! Whatever comes from files is escaped by the template; images are decoded and written again as small PNGs, so that
//! nothing of their bytes gets into the page. A policy in the head forbids the page to fetch or run anything.

use std::io::Write;
use std::path::Path;

use maud::{Markup, PreEscaped, html as template};
use residua_ir::preparation::Filter;

use super::{Line, STYLE};
use crate::error::Result;
use crate::evaluate::{Against, Document, Mistake, Share};
use crate::input::read_image;
use crate::render::{number, small};

/// Classes up to which the matrix is drawn.
const MOST_CELLS: usize = 60;
/// Pairs of classes that are listed as confused.
const MOST_PAIRS: usize = 30;
/// Mistakes that are shown as images.
const MOST_THUMBNAILS: usize = 24;
/// Longer side of these, in pixels.
const THUMBNAIL: usize = 112;
/// Rows of a table; JSON has all.
const MOST_ROWS: usize = 1000;

/// What this page adds to the style that all pages share.
const OWN: &str = "
.wide{width:auto}.plain th,.plain td{position:static}
.matrix td:last-child,.plain td:last-child{color:inherit}
.matrix td{text-align:right;min-width:34px}.matrix th.col{writing-mode:vertical-rl;transform:rotate(180deg);max-height:160px;overflow:hidden}
.matrix td.hit{background:color-mix(in srgb,var(--good) calc(var(--share)*1%),transparent)}
.matrix td.miss{background:color-mix(in srgb,var(--error) calc(var(--share)*1%),transparent)}
.thumbs{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;list-style:none;margin:0;padding:0}
.thumbs li{border:1px solid var(--edge);border-radius:8px;padding:10px;overflow-wrap:anywhere;font-size:12px}
.thumbs img{display:block;max-width:100%;margin:0 auto 8px;image-rendering:pixelated}
.thumbs p{margin:2px 0}.thumbs .file{color:var(--soft)}
.curve{max-width:460px}.curve text{fill:var(--soft);font-size:11px}.curve .axis{stroke:var(--edge)}
.curve .ideal{stroke:var(--soft);stroke-dasharray:4 4}.curve rect{fill:var(--bar)}.curve .gap{fill:var(--error);opacity:.35}";

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn evaluation(out: &mut dyn Write, document: &Document) -> Result<()> {
    let title = format!("Evaluation of {}", document.file);
    let page = template! {
        (PreEscaped("<!doctype html>"))
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Line(&title)) " · residua" }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN)) }
            }
            body {
                header {
                    h1 { (Line(&title)) }
                    p {
                        (number(document.count)) " of " (number(document.total)) " images; "
                        (Line(document.architecture.as_deref().unwrap_or("an architecture without a name")))
                        @if let Some(shards) = &document.shards { "; shard " (shards.join(", ")) " only" }
                    }
                }
                main {
                    (cards(document))
                    section { h2 { "Protocol" } (protocol(document)) }
                    @if let Some(against) = &document.against { (other(document, against)) }
                    (reliability(document))
                    (matrix(document))
                    (classes(document))
                    (mistakes(document))
                    (skipped(document))
                }
                footer { "Written by residua " (env!("CARGO_PKG_VERSION")) ". This page fetches nothing." }
            }
        }
    };
    writeln!(out, "{}", page.into_string())?;
    Ok(())
}

fn percent(value: f64) -> String {
    format!("{:.2} %", value * 100.0)
}

fn interval(share: Share) -> String {
    format!("{:.2} to {:.2}, 95 %", share.low * 100.0, share.high * 100.0)
}

fn card(name: &str, figure: &str, about: &str) -> Markup {
    template! { div.card { span { (name) } strong { (figure) } small { (about) } } }
}

fn cards(document: &Document) -> Markup {
    template! {
        div.cards {
            (card("top-1", &percent(document.top1.value), &interval(document.top1)))
            @if document.classes.len() > 5 { (card("top-5", &percent(document.top5.value), &interval(document.top5))) }
            @if let Some(loss) = document.loss { (card("loss", &format!("{loss:.4}"), "mean of -ln p of the right class")) }
            (card("ECE", &format!("{:.4}", document.ece), "confidence against accuracy, 15 bins"))
            (card("skipped", &number(document.skipped.len() as u64), "images that could not be read"))
        }
    }
}

fn protocol(document: &Document) -> Markup {
    template! {
        dl.facts {
            @for (name, text) in document.protocol.lines() { dt { (name) } dd { (Line(&text)) } }
            dt { "classes" } dd { (Line(&document.classes_by)) }
            @if let Some(weights) = &document.weights { dt { "weights" } dd { (Line(&weights.lines().join("; "))) } }
            @if let Some(published) = document.published() { dt { "published" } dd { (Line(&published)) } }
        }
    }
}

fn other(document: &Document, against: &Against) -> Markup {
    template! {
        section {
            h2 { "Against " (Line(&against.file)) }
            div.cards {
                (card("its top-1", &percent(against.top1.value), &interval(against.top1)))
                (card("agreement", &percent(against.agreement.value), &interval(against.agreement)))
                (card("McNemar's p", &small(against.mcnemar_p), &format!(
                    "right in one alone: {} and {}", number(against.only_first), number(against.only_second)
                )))
            }
            @if !against.flips.is_empty() {
                h2 { "Flips, " (number(against.flip_count)) }
                div.scroll tabindex="0" role="region" aria-label="Flips" {
                    table.plain {
                        thead { tr { th { "file" } th { "class" } th { "first" } th { "other" } } }
                        tbody {
                            @for flip in against.flips.iter().take(MOST_ROWS) {
                                tr {
                                    td { (Line(&flip.file)) }
                                    @for class in [flip.truth, flip.predicted, flip.against] {
                                        td { (Line(document.class(class))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Accuracy over confidence, a bar a bin; where it falls short of the confidence, the gap.
fn reliability(document: &Document) -> Markup {
    const SIDE: f64 = 360.0;
    const LEFT: f64 = 44.0;
    let at = |share: f64| format!("{:.1}", LEFT + share * SIDE);
    let down = |share: f64| format!("{:.1}", 10.0 + (1.0 - share) * SIDE);
    let long = |share: f64| format!("{:.1}", share.max(0.0) * SIDE);
    template! {
        section {
            h2 { "Reliability" }
            svg.curve viewBox="0 0 420 412" role="img" aria-label="Accuracy over confidence" {
                @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                    line.axis x1=(at(0.0)) x2=(at(1.0)) y1=(down(tick)) y2=(down(tick)) {}
                    text x="38" y=(down(tick)) text-anchor="end" dominant-baseline="middle" { (tick) }
                    text x=(at(tick)) y="388" text-anchor="middle" { (tick) }
                }
                @for bin in &document.calibration {
                    @if let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) {
                        rect x=(at(bin.low + 0.004)) width=(long(bin.high - bin.low - 0.008)) y=(down(accuracy)) height=(long(accuracy)) {
                            title { (number(bin.count)) " images: confidence " (format!("{confidence:.4}")) ", accuracy " (format!("{accuracy:.4}")) }
                        }
                        @if confidence > accuracy {
                            rect.gap x=(at(bin.low + 0.004)) width=(long(bin.high - bin.low - 0.008)) y=(down(confidence)) height=(long(confidence - accuracy)) {}
                        }
                    }
                }
                line.ideal x1=(at(0.0)) y1=(down(0.0)) x2=(at(1.0)) y2=(down(1.0)) {}
                text x=(at(0.5)) y="406" text-anchor="middle" { "confidence" }
            }
        }
    }
}

fn matrix(document: &Document) -> Markup {
    let Some(rows) = &document.confusion else { return template! {} };
    if rows.len() > MOST_CELLS {
        return pairs(document, rows);
    }
    let sums: Vec<u64> =
        rows.iter().map(|row| row.iter().fold(0_u64, |sum, count| sum.saturating_add(*count))).collect();
    let shade = |count: u64, sum: u64| format!("--share:{}", count.saturating_mul(70).checked_div(sum).unwrap_or(0));
    template! {
        section {
            h2 { "Confusion: rows true, columns predicted" }
            div.scroll tabindex="0" role="region" aria-label="Confusion matrix" {
                table.matrix.plain.wide {
                    thead { tr { th {} @for class in &document.classes { th.col scope="col" { (Line(&class.name)) } } } }
                    tbody {
                        @for (truth, row) in rows.iter().enumerate() {
                            tr {
                                th scope="row" { (Line(document.class(truth))) }
                                @for (predicted, &count) in row.iter().enumerate() {
                                    td class=(if truth == predicted { "hit" } else { "miss" }) style=(shade(count, sums[truth])) {
                                        @if count > 0 { (number(count)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The classes that are most often taken for each other, where the matrix is too large.
fn pairs(document: &Document, rows: &[Vec<u64>]) -> Markup {
    let mut pairs: Vec<(usize, usize, u64)> = Vec::new();
    for (truth, row) in rows.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|&(predicted, &count)| predicted != truth && count > 0);
        pairs.extend(wrong.map(|(predicted, &count)| (truth, predicted, count)));
    }
    pairs.sort_by(|a, b| b.2.cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    template! {
        section {
            h2 { "Most confused" }
            table.plain.wide {
                thead { tr { th { "class" } th { "taken for" } th.n { "images" } } }
                tbody {
                    @for &(truth, predicted, count) in pairs.iter().take(MOST_PAIRS) {
                        tr {
                            td { (Line(document.class(truth))) }
                            td { (Line(document.class(predicted))) }
                            td.n { (number(count)) }
                        }
                    }
                }
            }
        }
    }
}

fn classes(document: &Document) -> Markup {
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{share:.4}"));
    let shown = document.classes.iter().filter(|class| class.support > 0 || class.precision.is_some());
    template! {
        section {
            h2 { "Classes" }
            div.scroll tabindex="0" role="region" aria-label="Classes" {
                table.plain {
                    thead {
                        tr { th.n { "output" } th { "class" } th.n { "precision" } th.n { "recall" } th.n { "F1" } th.n { "images" } }
                    }
                    tbody {
                        @for class in shown.take(MOST_ROWS) {
                            tr {
                                td.n { (class.index) }
                                td { (Line(&class.name)) }
                                td.n { (share(class.precision)) }
                                td.n { (share(class.recall)) }
                                td.n { (share(class.f1)) }
                                td.n { (number(class.support)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn mistakes(document: &Document) -> Markup {
    if document.mistakes.is_empty() {
        return template! { section { h2 { "Worst mistakes" } p.good { "None." } } };
    }
    let upright = document.protocol.orientation == "exif";
    template! {
        section {
            h2 { "Worst mistakes" }
            ul.thumbs {
                @for mistake in document.mistakes.iter().take(MOST_THUMBNAILS) {
                    li {
                        @match thumbnail(mistake, upright) {
                            Some(data) => { img src=(data) alt=""; }
                            None => { p { "The image cannot be read from here." } }
                        }
                        p { strong { (Line(document.class(mistake.predicted))) } ", " (percent(mistake.confidence)) }
                        p { "is " (Line(document.class(mistake.truth))) }
                        p.file { (Line(&mistake.file)) }
                    }
                }
            }
        }
    }
}

fn skipped(document: &Document) -> Markup {
    if document.skipped.is_empty() {
        return template! {};
    }
    template! {
        section {
            h2 { "Skipped" }
            table.plain {
                thead { tr { th { "file" } th { "reason" } } }
                tbody {
                    @for skipped in document.skipped.iter().take(MOST_ROWS) {
                        tr { td { (Line(&skipped.file)) } td { (Line(&skipped.error)) } }
                    }
                }
            }
        }
    }
}

/// An image in small, as the address that holds it.
fn thumbnail(mistake: &Mistake, upright: bool) -> Option<String> {
    let (image, _) = read_image(Path::new(&mistake.file), upright).ok()?;
    let longest = image.width.max(image.height).max(1);
    let side = |side: usize| (side * THUMBNAIL / longest).max(1);
    let small =
        if longest > THUMBNAIL { image.resize(side(image.width), side(image.height), Filter::Bilinear) } else { image };
    let mut bytes = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut bytes, u32::try_from(small.width).ok()?, u32::try_from(small.height).ok()?);
    encoder.set_color(if small.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&small.samples).ok()?;
    Some(format!("data:image/png;base64,{}", base64(&bytes)))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in vectors {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
