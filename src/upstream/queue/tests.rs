use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn queue(at_once: u32, waiting: u32) -> Arc<Queue> {
    Arc::new(Queue::new(limits(at_once, waiting)))
}

fn limits(at_once: u32, waiting: u32) -> Limits {
    Limits { at_once, waiting, ageing: Duration::from_secs(10) }
}

fn place(entry: Entry) -> Place {
    match entry {
        Entry::Place(place) => place,
        other => panic!("no place: {other:?}"),
    }
}

fn turn(entry: Entry) -> Turn {
    match entry {
        Entry::Waits(turn) => turn,
        other => panic!("it does not wait: {other:?}"),
    }
}

fn enter(queue: &Arc<Queue>) -> Entry {
    queue.enter(Priority::Normal, Instant::now() + MINUTE)
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_back_goes_to_the_next() {
    let queue = queue(1, 5);
    let first = place(enter(&queue));
    let (mut second, mut third) = (turn(enter(&queue)), turn(enter(&queue)));
    assert_eq!((second.position(), third.position()), (1, 2));
    drop(first);
    let second = second.come().await.unwrap();
    assert_eq!(third.position(), 1);
    assert!(tokio::time::timeout(MINUTE / 2, third.come()).await.is_err(), "there is one place only");
    drop(second);
    assert!(third.come().await.is_some());
    assert_eq!(queue.busy(), Busy { running: 0, at_once: 1, waiting: [0; 4] });
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_gives_up_the_turn_even_when_it_has_just_come() {
    let queue = queue(1, 5);
    let first = place(enter(&queue));
    let (gone, called, mut last) = (turn(enter(&queue)), turn(enter(&queue)), turn(enter(&queue)));
    drop(gone);
    assert_eq!(queue.busy().waits(), 2);
    drop(first);
    // It was given the place and has not looked.
    drop(called);
    assert!(last.come().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_older_generation_does_not_set_back_what_a_newer_one_left_as_it_was() {
    let queue = queue(2, 5);
    queue.limit(limits(2, 5), 3);
    queue.limit(limits(1, 5), 2);
    assert_eq!(queue.busy().at_once, 2);
    queue.limit(limits(1, 5), 4);
    assert_eq!(queue.busy().at_once, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_its_time_is_over() {
    let queue = queue(1, 1);
    let first = place(enter(&queue));
    let mut late = turn(enter(&queue));
    assert!(matches!(enter(&queue), Entry::Full(_)));
    let began = Instant::now();
    assert!(late.come().await.is_none());
    assert_eq!(began.elapsed(), MINUTE);
    drop(first);
    drop(late);
    assert_eq!(queue.busy().running, 0);
}

#[tokio::test(start_paused = true)]
async fn the_newest_generation_says_how_many_are_served_at_once() {
    let queue = queue(1, 5);
    let _first = place(enter(&queue));
    let (mut second, _third) = (turn(enter(&queue)), turn(enter(&queue)));
    queue.limit(limits(2, 5), 7);
    assert!(second.come().await.is_some());
    queue.limit(limits(9, 5), 6);
    assert_eq!(queue.busy().at_once, 2);
}

#[test]
fn many_threads_never_run_more_than_there_are_places() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let queue = queue(3, 1000);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let each = (0..500_u64).map(|number| {
            let (queue, now, most) = (Arc::clone(&queue), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let place = match enter(&queue) {
                    Entry::Place(place) => place,
                    Entry::Waits(mut turn) => {
                        let patience = Duration::from_micros(number * 37 % 2000);
                        match tokio::time::timeout(patience, turn.come()).await {
                            Ok(place) => place.unwrap(),
                            Err(_) if number % 2 == 0 => return,
                            Err(_) => turn.come().await.unwrap(),
                        }
                    }
                    Entry::Full(_) => panic!("there is room for all"),
                };
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                drop(place);
            })
        });
        for task in each.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(queue.busy(), Busy { running: 0, at_once: 3, waiting: [0; 4] });
}
