//! What the core of the node costs for one event, and how that grows.
//!
//! Without arguments: nanoseconds for an event beside little and beside much of each thing that
//! may grow. `drive WORK [KEY=VALUE...]` does one piece of work once, for a counter of
//! instructions: WORK is `put`, `queue` or `retain`, the keys are those of [`Size`] and `events`.

mod scene;

use scene::{Scene, Size};
use std::time::Instant;

/// Events of one timed run.
const EVENTS: u64 = 100_000;
/// Timed runs; the middle one counts.
const RUNS: usize = 5;

type Work = fn(&mut Scene, u64);

const WORKS: [(&str, Work); 3] = [
    ("put", Scene::measured_put),
    ("queue", Scene::measured_queue),
    ("retain", Scene::measured_retain),
];

/// What grows in a line, and what it is at its small and its large end.
type Growth = (&'static str, fn(u32) -> Size, [u32; 2]);

const GROWTHS: [Growth; 6] = [
    ("takers", |count| Size { takers: count, ..Size::default() }, [1, 8]),
    ("subscriptions", |count| Size { subscriptions: count, ..Size::default() }, [1, 10_000]),
    ("channels", |count| Size { channels: count, ..Size::default() }, [1, 10_000]),
    ("idle clients", |count| Size { clients: count, ..Size::default() }, [1, 1000]),
    ("retained events", |count| Size { retained: count.into(), ..Size::default() }, [1, 100_000]),
    ("bytes", |count| Size { bytes: count as usize, ..Size::default() }, [64, 1024]),
];

/// Nanoseconds for one event, middle of the runs of two scenes that take turns.
#[allow(clippy::disallowed_methods)] // To measure is what a bench is for.
fn compare(work: Work, sizes: [Size; 2]) -> [f64; 2] {
    let mut scenes = sizes.map(Scene::new);
    scenes.iter_mut().for_each(Scene::warm_up);
    let mut times = [[0.0; RUNS]; 2];
    for run in 0..RUNS {
        for (scene, times) in scenes.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            work(scene, EVENTS);
            times[run] = begin.elapsed().as_nanos() as f64 / EVENTS as f64;
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 2]
    })
}

fn print_growth() {
    println!("{:8}{:18}{:>10}{:>10}{:>12}{:>12}", "work", "of", "from", "to", "ns", "times");
    for (name, work) in WORKS {
        for (of, size, ends) in GROWTHS {
            let [small, large] = compare(work, ends.map(size));
            let ns = format!("{small:.0}..{large:.0}");
            println!(
                "{name:8}{of:18}{:>10}{:>10}{ns:>12}{:>12.2}",
                ends[0],
                ends[1],
                large / small
            );
        }
    }
}

/// One piece of work, as the words say.
fn drive(words: &[String]) -> Result<(), String> {
    let (name, settings) = words.split_first().ok_or("drive what?")?;
    let found = WORKS.iter().find(|(each, _)| each == name);
    let (_, work) = found.ok_or_else(|| format!("no work is called {name}"))?;
    let (mut size, mut events) = (Size::default(), 1000);
    for setting in settings {
        let bad = || format!("{setting}: not KEY=NUMBER");
        let (key, value) = setting.split_once('=').ok_or_else(bad)?;
        let value: u32 = value.parse().map_err(|_| bad())?;
        match key {
            "bytes" => size.bytes = value as usize,
            "takers" => size.takers = value,
            "subscriptions" => size.subscriptions = value,
            "channels" => size.channels = value,
            "clients" => size.clients = value,
            "retained" => size.retained = value.into(),
            "events" => events = value.into(),
            _ => return Err(bad()),
        }
    }
    let mut scene = Scene::new(size);
    scene.warm_up();
    work(&mut scene, events);
    println!("{} deliveries", scene.deliveries());
    Ok(())
}

fn main() -> Result<(), String> {
    // Cargo adds options of its own, such as --bench.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.split_first() {
        Some((first, rest)) if first == "drive" => drive(rest),
        Some((first, _)) => Err(format!("{first}? only `drive` is known")),
        None => {
            print_growth();
            Ok(())
        }
    }
}
