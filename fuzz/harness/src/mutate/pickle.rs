//! Pickles: runs of opcodes are doubled, moved and dropped, numbers and names changed, with what is around them as it was.

use fastrand::Rng;

use super::{numbers, times};

/// A stream with some changes.
pub(super) fn mutate(data: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = data.to_vec();
    for _ in 0..times(random) {
        change(&mut bytes, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Rng) {
    let length = bytes.len();
    if length < 4 {
        return;
    }
    let from = random.usize(2..length);
    let to = (from + random.usize(1..=32)).min(length);
    let run: Vec<u8> = bytes.get(from..to).unwrap_or_default().to_vec();
    match random.u8(..6) {
        // The number behind BININT, BININT1, BININT2.
        0 => {
            let place = bytes.iter().skip(from).position(|byte| matches!(byte, b'J' | b'K' | b'M')).map(|at| at + from);
            if let Some(place) = place {
                let number = numbers::integer(0, random).to_le_bytes();
                let width = match bytes.get(place) {
                    Some(b'J') => 4,
                    Some(b'K') => 1,
                    Some(_) | None => 2,
                };
                bytes.iter_mut().skip(place + 1).take(width).zip(number).for_each(|(to, from)| *to = from);
            }
        }
        1 => {
            let times = [1, 2, 8, 64].get(random.usize(..4)).copied().unwrap_or(1);
            drop(bytes.splice(to..to, run.repeat(times)));
        }
        2 => drop(bytes.drain(from..to)),
        3 => {
            let place = random.usize(2..length);
            drop(bytes.splice(place..place, run));
        }
        // An opcode of the ones that move values about.
        4 => {
            const OPCODES: &[u8] = b"(.012()]}tuasbcRQhqrj\x81\x85\x86\x87\x88\x8c\x8f\x90\x93\x94N";
            if let (Some(byte), Some(opcode)) = (bytes.get_mut(from), OPCODES.get(random.usize(..OPCODES.len()))) {
                *byte = *opcode;
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte = random.u8(..);
            }
        }
    }
}
