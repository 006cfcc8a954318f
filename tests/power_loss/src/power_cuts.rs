//! Cuts of power, simulated: all is lost that was not written to the image of the disk.

use std::io;
use std::path::Path;
use std::process::Stdio;

use crate::expect::Expect;
use crate::harness::{Running, check, writer};
use crate::random::Random;
use crate::volume::Volume;
use crate::{Plant, plant_argument};

/// Lives of one store before a fresh one is made.
const LIVES_MAX: u64 = 8;
/// Lines that a writer says at most before its power is cut.
const LINES_MAX: u64 = 700;

pub(crate) fn run(count: u64, seed: u64, plant: Option<Plant>) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    if let Err(reason) = Volume::make(folder.path().join("try"), folder.path().join("mounted")) {
        return Ok(format!("power cuts: not run: {reason}"));
    }
    let mut random = Random::new(seed);
    let mut chain: Option<(Volume, Expect, u64)> = None;
    let (mut survived, mut acknowledged, mut found) = (0, 0, Vec::new());
    for cut in 1..=count {
        let place = |name: &str| folder.path().join(format!("{name}-{cut}"));
        let fresh = || Volume::make(place("image"), place("mounted"));
        let (volume, expect, life) = match chain.take() {
            Some(chain) => chain,
            None => (fresh().map_err(|error| error.to_string())?, Expect::default(), 0),
        };
        let mut expect = expect;
        let copy = place("copy");
        live(&volume, cut, 1 + random.below(LINES_MAX), plant, &mut expect, &copy)
            .map_err(|error| format!("power cuts: cut {cut} of seed {seed}: {error}"))?;
        acknowledged += expect.count();
        drop(volume);
        let volume = Volume::mount(copy, place("again")).map_err(|error| error.to_string())?;
        match check(&volume.data(), &expect) {
            Ok(expect) => {
                survived += 1;
                chain = (life + 1 < LIVES_MAX).then_some((volume, expect, life + 1));
            }
            Err(what) => found.push(format!("power cuts: cut {cut} of seed {seed}, life {life}: {what}")),
        }
        remove_images_but(folder.path(), cut);
    }
    found.push(format!(
        "power cuts: {survived} of {count} without a lost acknowledged write ({acknowledged} acknowledged facts checked)"
    ));
    let report = found.join("\n");
    if survived == count { Ok(report) } else { Err(report) }
}

/// Lets the writer work, stops it after so many lines, and copies the disk as it is then.
fn live(
    volume: &Volume,
    cut: u64,
    lines: u64,
    plant: Option<Plant>,
    expect: &mut Expect,
    copy: &Path,
) -> io::Result<()> {
    let mut words = writer(&volume.data(), cut * 1_000, u64::MAX)?;
    words.extend(plant.map(plant_argument));
    let mut running = Running::start(&words, Stdio::inherit())?;
    for heard in 0.. {
        if heard == lines {
            running.stop()?;
        }
        // After the stop these are the lines that were on their way.
        let Some(line) = running.line()? else {
            if heard < lines {
                return Err(io::Error::other(format!("the writer ended by itself: {:?}", running.ended()?)));
            }
            break;
        };
        expect.hear(&line).map_err(io::Error::other)?;
    }
    volume.copy(copy)?;
    running.kill()
}

/// Images are large. One that cannot be removed vanishes with the folder.
fn remove_images_but(folder: &Path, cut: u64) {
    let keep = format!("copy-{cut}");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_string_lossy() != keep {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
