//! Attachments over a stream that is cut, damaged or abused: what came stays, and the next stream goes on at that byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use karwan_proto::attachment::{
    Decline, DeviceTransfer, DeviceTransferEffect, ServerTransfer, ServerTransferEffect, TransferFrame, opens,
};
use karwan_proto::error::SessionError;
use karwan_proto::limits::{MAX_TRANSFERS_OUTSTANDING, PIECE_BYTES};
use karwan_proto::session::Refusal;
use karwan_proto::wire::write_frame;
use karwan_proto::{Hash, OrganisationId};

const ORGANISATION: OrganisationId = OrganisationId([7; 16]);

fn file(seed: u8, length: usize) -> (Hash, Vec<u8>) {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_derive_key("test file").update(&[seed]).finalize_xof().fill(&mut bytes);
    (Hash(*blake3::hash(&bytes).as_bytes()), bytes)
}

/// What one side has, whole or begun.
#[derive(Default)]
struct Shelf {
    whole: BTreeMap<Hash, Vec<u8>>,
    begun: BTreeMap<Hash, Vec<u8>>,
}

impl Shelf {
    fn store(&mut self, hash: Hash, offset: u64, bytes: &[u8]) {
        let begun = self.begun.entry(hash).or_default();
        assert_eq!(begun.len() as u64, offset, "no gap and nothing twice");
        begun.extend_from_slice(bytes);
    }

    /// Whether it is what it is called; else it is thrown away.
    fn check(&mut self, hash: Hash) -> bool {
        let bytes = self.begun.remove(&hash).unwrap_or_default();
        let holds = *blake3::hash(&bytes).as_bytes() == hash.0;
        if holds {
            self.whole.insert(hash, bytes);
        }
        holds
    }
}

#[derive(Default)]
struct Outcome {
    bytes_up: usize,
    bytes_down: usize,
    kept: Vec<Hash>,
    declined: Vec<(Hash, Decline)>,
    absent: Vec<Hash>,
    device: Option<SessionError>,
    server: Option<SessionError>,
}

/// Runs a stream until nothing moves or so many bytes crossed in both directions together.
fn run(device: &mut Shelf, server: &mut Shelf, wanted: &[Hash], limit: u64, cut: usize) -> Outcome {
    let (mut ours, mut theirs) = (DeviceTransfer::new(ORGANISATION), ServerTransfer::new());
    let mut outcome = Outcome::default();
    for (hash, bytes) in &device.whole {
        ours.bring(*hash, bytes.len() as u64).unwrap();
    }
    for hash in wanted {
        ours.fetch(*hash, device.begun.get(hash).map_or(0, |begun| begun.len() as u64), limit).unwrap();
    }
    loop {
        let mut up = Vec::new();
        while let Some(effect) = ours.poll() {
            match effect {
                DeviceTransferEffect::Send(bytes) => up.extend(bytes),
                DeviceTransferEffect::Kept { hash } => outcome.kept.push(hash),
                DeviceTransferEffect::Declined { hash, decline } => outcome.declined.push((hash, decline)),
                DeviceTransferEffect::Absent { hash } => outcome.absent.push(hash),
                DeviceTransferEffect::Coming { .. } => {}
                DeviceTransferEffect::Store { hash, offset, bytes } => device.store(hash, offset, &bytes),
                DeviceTransferEffect::Came { hash, whole } => assert!(!whole || device.check(hash)),
            }
        }
        if up.is_empty()
            && let Some(wish) = ours.next_piece()
        {
            let from = usize::try_from(wish.offset).unwrap();
            ours.piece(wish, device.whole[&wish.hash][from..from + wish.length].to_vec()).unwrap();
            continue;
        }
        let left = cut - outcome.bytes_up - outcome.bytes_down;
        up.truncate(left);
        outcome.bytes_up += up.len();
        if let Err(error) = theirs.receive(&up) {
            outcome.server = Some(error);
        }
        let mut down = Vec::new();
        while let Some(effect) = theirs.poll() {
            match effect {
                ServerTransferEffect::Send(bytes) => down.extend(bytes),
                ServerTransferEffect::Admit { organisation } => {
                    assert_eq!(organisation, ORGANISATION);
                    theirs.admit().unwrap();
                }
                ServerTransferEffect::Brought { number, hash, .. } => {
                    if server.whole.contains_key(&hash) {
                        theirs.kept(number).unwrap();
                    } else {
                        let offset = server.begun.get(&hash).map_or(0, |begun| begun.len() as u64);
                        theirs.go_on(number, offset).unwrap();
                    }
                }
                ServerTransferEffect::Store { hash, offset, bytes, .. } => server.store(hash, offset, &bytes),
                ServerTransferEffect::Whole { number, hash } => {
                    if server.check(hash) {
                        theirs.kept(number).unwrap();
                    } else {
                        theirs.go_on(number, 0).unwrap();
                    }
                }
                ServerTransferEffect::Fetched { number, hash } => match server.whole.get(&hash) {
                    Some(bytes) => theirs.coming(number, bytes.len() as u64).unwrap(),
                    None => theirs.absent(number).unwrap(),
                },
                ServerTransferEffect::Finished => {}
            }
        }
        if down.is_empty()
            && let Some(wish) = theirs.next_piece()
        {
            let from = usize::try_from(wish.offset).unwrap();
            theirs.piece(wish, server.whole[&wish.hash][from..from + wish.length].to_vec()).unwrap();
            continue;
        }
        down.truncate(cut - outcome.bytes_up - outcome.bytes_down);
        outcome.bytes_down += down.len();
        if let Err(error) = ours.receive(&down) {
            outcome.device = Some(error);
        }
        let moved = !up.is_empty() || !down.is_empty();
        if !moved || outcome.bytes_up + outcome.bytes_down >= cut || outcome.device.is_some() || outcome.server.is_some() {
            while let Some(effect) = ours.poll() {
                if let DeviceTransferEffect::Store { hash, offset, bytes } = effect {
                    device.store(hash, offset, &bytes);
                }
            }
            return outcome;
        }
    }
}

#[test]
fn several_go_up_and_come_down_in_one_stream() {
    let (mut device, mut server) = (Shelf::default(), Shelf::default());
    let up: Vec<(Hash, Vec<u8>)> = (0..5).map(|seed| file(seed, 1 + 9_000 * usize::from(seed))).collect();
    device.whole.extend(up.iter().cloned());
    let (theirs, content) = file(100, 3 * PIECE_BYTES);
    server.whole.insert(theirs, content.clone());
    let missing = Hash([9; 32]);
    let outcome = run(&mut device, &mut server, &[theirs, missing], u64::MAX, usize::MAX);
    assert_eq!((outcome.kept.len(), outcome.absent), (5, vec![missing]));
    assert!(up.iter().all(|(hash, bytes)| server.whole.get(hash) == Some(bytes)));
    assert_eq!(device.whole.get(&theirs), Some(&content));
    let again = run(&mut device, &mut server, &[], u64::MAX, usize::MAX);
    assert_eq!(again.kept.len(), 6, "what is there is not sent again");
    assert!(again.bytes_up < 6 * 100, "{}", again.bytes_up);
}

#[test]
fn a_stream_cut_at_any_byte_goes_on_there_in_both_directions() {
    const LENGTH: usize = 60_000;
    for seed in 0..20u8 {
        let (mut device, mut server) = (Shelf::default(), Shelf::default());
        let ((ours, content), (theirs, other)) = (file(seed, LENGTH), file(seed + 100, LENGTH));
        device.whole.insert(ours, content.clone());
        server.whole.insert(theirs, other.clone());
        let (mut spent, mut cuts) = (0, 0usize);
        let mut step = blake3::Hasher::new_derive_key("test cuts").update(&[seed]).finalize_xof();
        while !server.whole.contains_key(&ours) || !device.whole.contains_key(&theirs) {
            let mut random = [0; 2];
            step.fill(&mut random);
            let outcome = run(&mut device, &mut server, &[theirs], u64::MAX, usize::from(u16::from_be_bytes(random)));
            assert_eq!((outcome.device, outcome.server), (None, None), "seed {seed}");
            spent += outcome.bytes_up + outcome.bytes_down;
            cuts += 1;
        }
        assert_eq!((server.whole.get(&ours), device.whole.get(&theirs)), (Some(&content), Some(&other)), "seed {seed}");
        let most = 2 * LENGTH + 2 * (LENGTH / PIECE_BYTES + 1) * 60 + cuts * (2 * PIECE_BYTES + 400);
        assert!(spent <= most, "seed {seed}: {spent} of at most {most} in {cuts} streams");
    }
}

#[test]
fn a_fetch_stops_where_the_device_said() {
    let (mut device, mut server) = (Shelf::default(), Shelf::default());
    let (hash, content) = file(1, 50_000);
    server.whole.insert(hash, content.clone());
    for held in [12_345, 24_690, 37_035, 49_380] {
        run(&mut device, &mut server, &[hash], 12_345, usize::MAX);
        assert_eq!(device.begun[&hash].len(), held);
    }
    run(&mut device, &mut server, &[hash], 12_345, usize::MAX);
    assert_eq!(device.whole.get(&hash), Some(&content));
}

#[test]
fn what_came_damaged_is_asked_for_once_more() {
    let (mut device, mut server) = (Shelf::default(), Shelf::default());
    let (hash, content) = file(1, 30_000);
    device.whole.insert(hash, content.clone());
    server.begun.insert(hash, vec![0; 20_000]);
    let outcome = run(&mut device, &mut server, &[], u64::MAX, usize::MAX);
    assert_eq!(outcome.kept, [hash]);
    assert_eq!(server.whole.get(&hash), Some(&content));
    // A device that brings something else than it says is not asked for ever.
    let (other, _) = file(2, 1);
    device.whole = BTreeMap::from([(other, vec![0; 20_000])]);
    server.begun.insert(other, vec![1; 10_000]);
    let outcome = run(&mut device, &mut server, &[], u64::MAX, usize::MAX);
    assert_eq!(outcome.device, Some(SessionError::OutOfPlace { expected: "a byte that is to be sent", came: "GoOn" }));
}

#[test]
fn every_flipped_byte_is_refused() {
    let (hash, content) = file(1, 300);
    let frames = [
        TransferFrame::Carry { organisation: ORGANISATION },
        TransferFrame::Bring { number: 0, hash, length: 300 },
        TransferFrame::Piece { number: 0, offset: 0, bytes: content },
    ];
    let stream: Vec<u8> = frames.iter().flat_map(|frame| write_frame(&frame.encode())).collect();
    assert_eq!(opens(&stream), Some(true));
    for position in 0..stream.len() {
        let mut broken = stream.clone();
        broken[position] ^= 0x10;
        let (received, whole) = serve(&broken);
        assert!(received.is_err() || !whole, "byte {position} flipped passed");
    }
    assert_eq!(serve(&stream), (Ok(()), true));
}

/// Gives a server a stream whose only attachment it asks for from the beginning; whether that came whole.
fn serve(stream: &[u8]) -> (Result<(), SessionError>, bool) {
    let mut server = ServerTransfer::new();
    let mut whole = false;
    // Frame by frame, so that the answer to Bring is there before its pieces.
    let mut received = Ok(());
    for byte in stream {
        received = received.and_then(|()| server.receive(std::slice::from_ref(byte)));
        while let Some(effect) = server.poll() {
            match effect {
                ServerTransferEffect::Admit { .. } => server.admit().unwrap(),
                ServerTransferEffect::Brought { number, .. } => server.go_on(number, 0).unwrap(),
                ServerTransferEffect::Whole { .. } => whole = true,
                _ => {}
            }
        }
    }
    (received, whole)
}

#[test]
fn what_is_out_of_place_ends_the_stream_and_what_is_new_is_passed_over() {
    let carry = TransferFrame::Carry { organisation: ORGANISATION };
    let bring = |number, length| TransferFrame::Bring { number, hash: Hash([1; 32]), length };
    let piece = |number, offset, many| TransferFrame::Piece { number, offset, bytes: vec![0; many] };
    let (kept, other) = (TransferFrame::Kept { number: 0 }, TransferFrame::Other { kind: 99 });
    let wrong: [&[TransferFrame]; 8] = [
        &[bring(0, 1)],
        &[carry.clone(), carry.clone()],
        &[carry.clone(), bring(1, 1)],
        &[carry.clone(), bring(0, 9), piece(0, 1, 3)],
        &[carry.clone(), bring(0, 9), piece(0, 0, 10)],
        &[carry.clone(), bring(0, 9), piece(0, 0, 0)],
        &[carry.clone(), piece(0, 0, 1)],
        &[carry.clone(), kept],
    ];
    let stream = |frames: &[TransferFrame]| -> Vec<u8> { frames.iter().flat_map(|frame| write_frame(&frame.encode())).collect() };
    for frames in wrong {
        assert!(matches!(serve(&stream(frames)).0, Err(SessionError::OutOfPlace { .. })), "{frames:?}");
    }
    assert_eq!(serve(&stream(&[carry.clone(), other, bring(0, 9), piece(0, 0, 9)])), (Ok(()), true));
    let many: Vec<TransferFrame> =
        std::iter::once(carry).chain((0..=MAX_TRANSFERS_OUTSTANDING as u64).map(|number| bring(number, 1))).collect();
    assert!(matches!(serve(&stream(&many)).0, Err(SessionError::TooMany { .. })));
    let over = write_frame(&bring(0, u64::MAX).encode());
    assert!(matches!(serve(&[stream(&many[..1]), over].concat()).0, Err(SessionError::Frame(_))));
}

#[test]
fn a_device_that_is_refused_hears_why() {
    let mut server = ServerTransfer::new();
    let mut device = DeviceTransfer::new(ORGANISATION);
    let Some(DeviceTransferEffect::Send(bytes)) = device.poll() else { panic!("the device begins") };
    server.receive(&bytes).unwrap();
    assert_eq!(server.poll(), Some(ServerTransferEffect::Admit { organisation: ORGANISATION }));
    server.refuse(Refusal::UnknownDevice);
    let Some(ServerTransferEffect::Send(bytes)) = server.poll() else { panic!("the device is told") };
    assert_eq!(device.receive(&bytes), Err(SessionError::Refused(Refusal::UnknownDevice)));
    assert_eq!(server.poll(), Some(ServerTransferEffect::Finished));
}
