//! Copies the small models of the fixtures into the corpora of the targets that read them.
//!
//! `cargo run -p residua-fuzz --example seeds -- CORPUS [MOST_BYTES]`

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::{env, fs};

use residua_fuzz::seeds::targets_of;

fn main() -> std::io::Result<()> {
    let mut arguments = env::args().skip(1);
    let corpus = arguments.next().unwrap_or_else(|| "corpus".to_owned());
    let most = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(64 << 10);
    let fixtures =
        [residua_tests::all(), residua_tests::torch(), residua_tests::onnx(), residua_tests::torch_refused()];
    let paths = fixtures.into_iter().flatten().map(|fixture| fixture.path.clone());
    let checkpoints = fs::read_dir(residua_tests::checkpoints())?.flatten().map(|entry| entry.path());
    let unpacked = residua_tests::unpacked("containers/containers.zip");
    let containers = fs::read_dir(unpacked.path())?.flatten().map(|entry| entry.path());
    for path in paths.chain(checkpoints).chain(containers).filter(|path| path.is_file()) {
        let data = fs::read(&path)?;
        if data.len() > most || path.extension().is_some_and(|ending| ending == "npz" || ending == "json") {
            continue;
        }
        for target in targets_of(&data) {
            let mut hasher = DefaultHasher::new();
            data.hash(&mut hasher);
            let folder = Path::new(&corpus).join(target);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("{:016x}", hasher.finish())), &data)?;
        }
    }
    Ok(())
}
