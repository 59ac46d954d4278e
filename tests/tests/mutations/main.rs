//! Every kind of single change of a written file is caught by the proof, for every fixture that is written, as ONNX, as
//! safetensors with its graph, and as weights under a library's names. Which changes were made and how often is in a table.
//! Changes that leave the function as it is are not called a difference.
//!
//! What is not seen is in the table, too: another operator, or another shape of an output, that gives the same bits for the
//! probes. A change that is missed besides fails.
//!
//! A change is caught where the file is refused by its reader, or is found to be another function than its source: by the proof of
//! `convert`, on the bytes of the changed file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a panic is how a test fails")]

mod kinds;
mod network;
mod onnx;
mod safetensors;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::onnx::Onnx;
use self::safetensors::Safetensors;
use kinds::{File, Kind};
use network::{Found, Network, Written};
use residua_tests::{Fixture, Table};

/// Files up to this size are changed at many places, larger ones at few.
const SMALL: usize = 32 << 10;

/// How often a change of a kind was made.
#[derive(Default, Clone, Copy)]
struct Count {
    made: usize,
    /// How often reading refused it.
    refused: usize,
    /// At how many places it could be made.
    places: usize,
}

/// What came of the changes of all networks in one format.
#[derive(Default)]
struct Tally {
    networks: usize,
    /// Networks of which a part goes by numbers as they were written, so that a change within rounding is none.
    by_numbers: Vec<String>,
    counts: BTreeMap<Kind, Count>,
}

/// One file of each network.
fn fixtures() -> Vec<&'static Fixture> {
    let all = residua_tests::all().iter().chain(residua_tests::torch()).chain(residua_tests::onnx());
    let mut seen = BTreeSet::new();
    all.filter(|fixture| seen.insert((&fixture.set, &fixture.name))).collect()
}

/// At how many places of a file a change of a kind is made; they are spread over all that there are.
fn tried(kind: Kind, size: usize) -> usize {
    let small = size <= SMALL;
    match kind {
        Kind::Bit => {
            if small {
                usize::MAX
            } else {
                2
            }
        }
        Kind::Attribute | Kind::Edge | Kind::Operands | Kind::Dropped | Kind::Doubled | Kind::Exchanged => {
            if small {
                3
            } else {
                1
            }
        }
        Kind::Inputs
        | Kind::Outputs
        | Kind::InputShape
        | Kind::InputType
        | Kind::TensorType
        | Kind::Names
        | Kind::Nodes
        | Kind::Tensors
        | Kind::Commuted
        | Kind::Unread => 1,
    }
}

fn change<F: File>(network: &Network, file: &F, counts: &mut BTreeMap<Kind, Count>, faults: &mut Vec<String>) {
    for kind in Kind::ALL {
        let places = file.places(kind);
        let count = counts.entry(kind).or_default();
        count.places += places.len();
        let step = places.len().div_ceil(tried(kind, network.bytes().len())).max(1);
        for place in places.into_iter().step_by(step) {
            let mut changed = file.clone();
            (place.make)(&mut changed);
            let found = network.hold(changed.encode());
            count.made += 1;
            count.refused += usize::from(found == Found::Refused);
            if (found == Found::Same) != kind.is_harmless() {
                faults.push(format!("{}: {}: {}: {found:?}", network.what, kind.name(), place.what));
            }
        }
    }
}

/// What came of one fixture, by format.
type Outcome = (BTreeMap<&'static str, Tally>, Vec<String>);

fn change_fixture(fixture: &Fixture) -> Outcome {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut faults = Vec::new();
    Network::each(fixture, |network| {
        let format = match network.written {
            Written::Onnx => "ONNX",
            Written::Graph => "safetensors with a graph",
            Written::Weights => "safetensors under a library's names",
        };
        let tally = tallies.entry(format).or_default();
        if !network.by_structure {
            tally.by_numbers.push(fixture.label());
            return;
        }
        tally.networks += 1;
        match network.written {
            Written::Onnx => change(network, &Onnx::decode(network.bytes()), &mut tally.counts, &mut faults),
            Written::Graph | Written::Weights => {
                change(network, &Safetensors::decode(network.bytes()), &mut tally.counts, &mut faults);
            }
        }
    });
    (tallies, faults)
}

fn every_change_is_caught() {
    let fixtures = fixtures();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push(change_fixture(fixture));
        }
        outcomes
    };
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let running = [scope.spawn(work), scope.spawn(work)];
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut faults = Vec::new();
    for (tallies, found) in outcomes {
        faults.extend(found);
        for (format, tally) in tallies {
            let sum = all.entry(format).or_default();
            sum.networks += tally.networks;
            sum.by_numbers.extend(tally.by_numbers);
            for (kind, Count { made, refused, places }) in tally.counts {
                let count = sum.counts.entry(kind).or_default();
                (count.made, count.refused) = (count.made + made, count.refused + refused);
                count.places += places;
            }
        }
    }
    faults.sort();
    all.values_mut().for_each(|tally| tally.by_numbers.sort());
    let table = table(&all);
    for kind in Kind::ALL {
        let tried = all.values().filter_map(|tally| tally.counts.get(&kind)).any(|count| count.made > 0);
        assert!(tried, "nothing was tried: {}", kind.name());
    }
    let called: Vec<&String> = faults.iter().filter(|fault| !fault.ends_with("Same")).collect();
    assert!(called.is_empty(), "these change nothing: {called:#?}");
    insta::assert_snapshot!("changes", format!("{table}not seen:\n  {}\n", faults.join("\n  ")));
}

fn table(tallies: &BTreeMap<&str, Tally>) -> String {
    let mut table = String::new();
    for (format, tally) in tallies {
        writeln!(table, "{format}: {} networks that are shown by structure", tally.networks).unwrap();
        writeln!(table, "  not changed, since a part goes by numbers: {}", tally.by_numbers.join(", ")).unwrap();
        for (kind, Count { made, refused, places }) in &tally.counts {
            let name = kind.name();
            if *places == 0 {
                continue;
            }
            match kind.is_harmless() {
                true => writeln!(table, "  {name}: {made} of {places}, all called the same").unwrap(),
                false => writeln!(table, "  {name}: {made} of {places}, {refused} of them caught in reading").unwrap(),
            }
        }
    }
    table
}

fn main() {
    Table::new().test("every_change_is_caught", every_change_is_caught).run()
}
