//! Makes the dictionary that Karwan ships: `train_dictionary OUT`. The corpus is made, never collected, and has other words than the
//! one that is measured, so that the figures say what the dictionary does for a form that it has never met.

use karwan_tests::corpus::Team;
use karwan_tests::corpus::words::{MET, TRAINING};

/// Size of the dictionary: what is shipped for it stays below 64 KiB.
const DICTIONARY_BYTES: usize = 60_000;
/// Teams whose work is in the corpus.
const TEAMS: u64 = 24;
/// How much more an envelope of edits weighs than one of new records: it is small, and dozens follow each record.
const WEIGHT_OF_EDITS: usize = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args().nth(1).ok_or("usage: train_dictionary OUT")?;
    let mut samples: Vec<Vec<u8>> = Vec::new();
    let mut edits: Vec<Vec<u8>> = Vec::new();
    for seed in 0..TEAMS {
        let mut team = Team::new(1000 + seed, &MET, &TRAINING);
        // Small envelopes gain most from a dictionary, so all samples are small.
        for size in [1, 2, 4, 8] {
            let (envelopes, mut records) = team.collect(6, size);
            samples.extend(envelopes.iter().map(karwan_proto::Envelope::payload));
            let mut other = Team::new(2000 + seed, &MET, &TRAINING);
            for editor in [&mut team, &mut other] {
                let payloads: Vec<Vec<u8>> =
                    editor.correct(&mut records, size).iter().map(karwan_proto::Envelope::payload).collect();
                samples.extend_from_slice(&payloads);
                edits.extend(payloads);
            }
        }
    }
    for edit in edits {
        samples.extend(std::iter::repeat_n(edit, WEIGHT_OF_EDITS));
    }
    let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
    std::fs::write(&out, &dictionary)?;
    println!("{} bytes from {} envelopes in {out}", dictionary.len(), samples.len());
    Ok(())
}
