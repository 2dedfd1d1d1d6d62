//! Damaged and made-up input to everything that reads bytes from outside: nothing may panic out of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use karwan_proto::attachment::{DeviceTransfer, ServerTransfer, ServerTransferEffect, TransferFrame};
use karwan_proto::envelope::{Envelope, Item};
use karwan_proto::session::Frame;
use karwan_proto::wire::{FrameReader, write_frame};
use karwan_proto::{DeviceId, Hash, Invitation, LogEntry, OrganisationId, PersonId, Role, SignedHeader};
use karwan_record::{Provenance, Record, SourcedChange, gate};
use sha2::{Digest, Sha256};

use super::{Figure, Gate, Scale};
use crate::corpus::words::{MEASURED, MET};
use crate::corpus::{Dice, Team};
use crate::sum::{self, run_parts};

/// About an hour of one core; `--size` takes fewer.
const INPUTS_FULL: u64 = 100_000_000;
/// Inputs of a part of the full run, which goes on where it was stopped.
const INPUTS_PART: u64 = 1_000_000;
const INPUTS_SHORT: u64 = 20_000;

/// Damages some bytes.
fn mutate(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        let place = dice.below(damaged.len() as u64) as usize;
        match dice.below(5) {
            0 => damaged.truncate(place),
            1 => damaged.insert(place, dice.bits() as u8),
            2 => damaged.extend_from_within(place..),
            3 => damaged.iter_mut().skip(place).take(1).for_each(|byte| *byte = [0, 0xff, 0x7f, 0x80][dice.below(4) as usize]),
            _ => damaged.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        }
        damaged.truncate(1 << 20);
    }
    damaged
}

/// A change with its checksum made right again, so that the damage lies deeper.
fn signed_again(mut change: Vec<u8>) -> Vec<u8> {
    if let Some((head, named)) = change.split_at_mut_checked(8) {
        let name: [u8; 32] = Sha256::digest(&*named).into();
        head[4..].copy_from_slice(&name[..4]);
    }
    change
}

/// A stream of attachments as a device says it, frame by frame.
fn transfer_frames() -> Vec<Vec<u8>> {
    let hash = Hash([7; 32]);
    let frames = [
        TransferFrame::Carry { organisation: OrganisationId([1; 16]) },
        TransferFrame::Bring { number: 0, hash, length: 600 },
        TransferFrame::Fetch { number: 0, hash, offset: 0, limit: 1 << 20 },
        TransferFrame::Piece { number: 0, offset: 0, bytes: vec![3; 600] },
        TransferFrame::GoOn { number: 0, offset: 0 },
        TransferFrame::Coming { number: 0, length: 600 },
    ];
    frames.iter().map(TransferFrame::encode).collect()
}

/// Gives both sides of a stream of attachments frames of which one is damaged, its checks made right again.
fn attachments(dice: &mut Dice, frames: &[Vec<u8>]) {
    let (mut device, mut server) = (DeviceTransfer::new(OrganisationId([1; 16])), ServerTransfer::new());
    device.bring(Hash([7; 32]), 600).ok();
    device.fetch(Hash([7; 32]), 0, 1 << 20).ok();
    let damaged = dice.below(frames.len() as u64) as usize;
    for (place, frame) in frames.iter().enumerate() {
        let payload = if place == damaged { mutate(dice, frame) } else { frame.clone() };
        let bytes = write_frame(&payload);
        // A frame of the other side ends a stream, so each side hears its own.
        if place < 4 {
            server.receive(&bytes).ok();
        }
        if place >= 3 {
            device.receive(&bytes).ok();
        }
        while let Some(effect) = server.poll() {
            match effect {
                ServerTransferEffect::Admit { .. } => drop(server.admit()),
                ServerTransferEffect::Brought { number, .. } => drop(server.go_on(number, 0)),
                ServerTransferEffect::Fetched { number, .. } => drop(server.coming(number, 600)),
                _ => {}
            }
        }
        while device.poll().is_some() {}
    }
}

/// Mutates frames, envelopes, log entries, invitations and changes.
///
/// # Panics
/// Where the file in which parts add up cannot be used.
#[allow(clippy::expect_used)]
pub fn mutated(scale: Scale) -> Vec<Figure> {
    // The gate catches automerge's panics itself: what they would print says nothing here.
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let inputs = scale.of(INPUTS_SHORT, INPUTS_FULL);
    let parts = match scale {
        Scale::Full => run_parts(&sum::file("hostile"), INPUTS_FULL / INPUTS_PART, |part| escapes(part, INPUTS_PART)),
        _ => Ok(vec![escapes(0, inputs)]),
    };
    std::panic::set_hook(said);
    let escapes = parts.expect("the file of the sum can be used").iter().sum();
    let figure = |name, value: u64, gate, correctness| Figure { name, value: value as f64, unit: "", gate, correctness, scale };
    vec![
        figure("hostile_inputs", inputs, Gate::AtLeast(INPUTS_FULL as f64), false),
        figure("hostile_escapes", escapes, Gate::Exactly(0.0), true),
    ]
}

/// How many of so many inputs got a panic out of what reads them; each part draws others.
///
/// # Panics
/// Where the corpus cannot be made.
#[allow(clippy::expect_used)]
fn escapes(part: u64, inputs: u64) -> u64 {
    let mut team = Team::new(31, &MET, &MEASURED);
    let (envelopes, records) = team.collect(1, 2);
    let envelope = envelopes[0].encode();
    let Item::Change { change, .. } = &envelopes[0].items()[0] else { return 1 };
    let mut edited = records[0].clone();
    let edit = team.edit(&mut edited);
    let actor = envelopes[0].header().incarnation.0;
    let provenance =
        Provenance { device: DeviceId([1; 16]), person: PersonId([2; 16]), role: Role::Enumerator, at_ms: 0, offset_minutes: 0 };
    let frame = Frame::Offer { number: 0, envelope: envelope.clone() }.encode();
    let transfer = transfer_frames();
    let mut dice = Dice::new(99 + part);
    let mut escapes = 0;
    for number in 0..inputs {
        let outcome = catch_unwind(AssertUnwindSafe(|| match number % 7 {
            0 => {
                let mut reader = FrameReader::new();
                reader.push(&mutate(&mut dice, &write_frame(&frame)));
                while let Ok(Some(payload)) = reader.next_payload() {
                    Frame::decode(&payload).ok();
                }
            }
            1 => drop(Frame::decode(&mutate(&mut dice, &frame))),
            2 => {
                let damaged = mutate(&mut dice, &envelope);
                SignedHeader::peek(&damaged).ok();
                Envelope::decode(&damaged).ok();
            }
            3 => {
                let text = String::from_utf8_lossy(&mutate(&mut dice, b"karwan1:MFRGGZDFMZTWQ2LKNNWG23TPOA")).into_owned();
                Invitation::from_text(&text).ok();
                LogEntry::decode(&mutate(&mut dice, &frame)).ok();
            }
            4 => attachments(&mut dice, &transfer),
            5 => {
                let mut record = Record::empty(records[0].id());
                let bytes = signed_again(mutate(&mut dice, change));
                gate::admit(&mut record, SourcedChange { bytes, provenance }, actor).ok();
            }
            _ => {
                let mut record = records[0].clone();
                let bytes = signed_again(mutate(&mut dice, &edit));
                gate::admit(&mut record, SourcedChange { bytes, provenance }, actor).ok();
            }
        }));
        escapes += u64::from(outcome.is_err());
    }
    escapes
}
