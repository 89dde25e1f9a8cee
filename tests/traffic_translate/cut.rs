//! Every recorded stream, cut in two at every offset, gives the same events.

use std::thread;

use bytes::Bytes;
use tidegate::stream::{Event, Splitter};

use super::recorded::{Stream, streams};

/// The longest event.
const MOST: usize = 1 << 24;

/// The next event of what a splitter was given.
fn next(splitter: &mut Splitter) -> Option<Event> {
    splitter.next().unwrap()
}

/// The splitter, given one piece.
fn fed(before: &Splitter, piece: Bytes) -> Splitter {
    let mut splitter = before.clone();
    splitter.push(piece);
    splitter
}

/// The events of a stream that comes in one piece, and what is left behind the last.
fn uncut(one: &Stream) -> (Vec<Event>, Option<Bytes>) {
    let mut splitter = fed(&Splitter::new(one.wire, MOST), one.bytes.clone());
    let events = std::iter::from_fn(|| next(&mut splitter)).collect();
    (events, splitter.finish())
}

/// Cuts a stream in two at every offset, and returns how many there are.
///
/// To run all of both parts for each offset would take the square of the stream's length. It is as good to run the one
/// event in which the cut lies. A splitter takes bytes from the front of what it was given and stops behind each event,
/// so the first part leaves it as the events before the cut left it (`before`), given the bytes from there to the cut.
/// Given the rest of the event it must say that event and be what it is without a cut (`after`): splitters that are
/// equal go on alike. A reader is given these events and nothing else, so it says the same too.
fn cut_everywhere(one: &Stream) -> usize {
    let (events, rest) = uncut(one);
    let mut before = Splitter::new(one.wire, MOST);
    let mut start = 0;
    for event in &events {
        let end = start + event.to_bytes().len();
        let mut after = fed(&before, one.bytes.slice(start..end));
        assert_eq!(next(&mut after).as_ref(), Some(event), "{} from {start} on", one.id);
        assert_eq!(next(&mut after), None, "{} from {start} on", one.id);
        for cut in start..end {
            let mut splitter = fed(&before, one.bytes.slice(start..cut));
            assert!(next(&mut splitter).is_none(), "{} cut at {cut}: an event too early", one.id);
            splitter.push(one.bytes.slice(cut..end));
            assert!(next(&mut splitter).as_ref() == Some(event), "{} cut at {cut}: another event", one.id);
            assert!(splitter == after, "{} cut at {cut}: what follows would be read otherwise", one.id);
        }
        (before, start) = (after, end);
    }
    for cut in start..=one.bytes.len() {
        let mut splitter = fed(&before, one.bytes.slice(start..cut));
        assert!(next(&mut splitter).is_none(), "{} cut at {cut}: an event too early", one.id);
        splitter.push(one.bytes.slice(cut..));
        assert!(next(&mut splitter).is_none() && splitter.finish() == rest, "{} cut at {cut}: another rest", one.id);
    }
    one.bytes.len() + 1
}

#[test]
fn every_stream_gives_the_same_events_wherever_it_is_cut() {
    let all = streams();
    let (even, odd): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let cut = |some: &[(usize, &Stream)]| some.iter().map(|(_, one)| cut_everywhere(one)).sum::<usize>();
    let offsets = thread::scope(|scope| {
        let odd = scope.spawn(|| cut(&odd));
        cut(&even) + odd.join().unwrap()
    });
    eprintln!("covered: {} streams, cut at {offsets} offsets", all.len());
}
