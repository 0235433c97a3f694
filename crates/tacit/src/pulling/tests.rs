use std::cell::RefCell;

use tacit_model::ManualClock;

use super::*;

#[test]
fn a_source_is_one_of_three() {
    let read = |text: &str| toml::from_str::<SourceConfig>(text).ok().map(|source| source.origin().is_ok());
    for right in ["csv = \"a\"", "command = [\"a\", \"b\"]", "sql = \"sqlite:a\"\nquery = \"SELECT 1\""] {
        assert_eq!(read(&format!("peer = \"p\"\n{right}")), Some(true), "{right}");
    }
    for wrong in
        ["", "csv = \"a\"\ncommand = [\"b\"]", "sql = \"sqlite:a\"", "query = \"a\"", "csv = \"a\"\nevery_s = 0"]
    {
        assert_eq!(read(&format!("peer = \"p\"\n{wrong}")), Some(false), "{wrong}");
    }
    assert_eq!(read("csv = \"a\""), None, "whose?");
}

fn sample(at: i64, values: &[(&str, &str)]) -> SampleText {
    let one = |(name, value): &(&str, &str)| ((*name).to_owned(), Redacted((*value).to_owned()));
    SampleText { at: UnixMillis(at), values: values.iter().map(one).collect() }
}

fn shown(samples: &Samples) -> Vec<String> {
    let one = |(at, values): (&UnixMillis, &BTreeMap<String, Redacted<String>>)| {
        values.iter().map(|(name, value)| format!("{} {name} {}", at.0, value.0)).collect::<Vec<_>>()
    };
    samples.iter().flat_map(one).collect()
}

#[test]
fn relative_files_are_in_the_data_folder() {
    let within = |text: &str| {
        let source: SourceConfig = toml::from_str(&format!("peer = \"p\"\n{text}")).expect("a source");
        let source = source.within(Path::new("/data"));
        source.csv.map(|file| file.display().to_string()).or(source.sql)
    };
    let found = |text, file: &str| assert_eq!(within(text), Some(file.to_owned()), "{text}");
    found("csv = \"room.csv\"", "/data/room.csv");
    found("csv = \"/var/room.csv\"", "/var/room.csv");
    found("sql = \"sqlite:room.db\"\nquery = \"SELECT 1\"", "sqlite:/data/room.db");
    found("sql = \"postgres://h/d\"\nquery = \"SELECT 1\"", "postgres://h/d");
}

/// One sensor that fails does not stop the others, nor its own good values.
#[test]
fn what_is_no_decimal_is_left_out_and_the_owner_is_told_once() {
    let mut page =
        vec![sample(1000, &[("a", "1"), ("b", "nan")]), sample(2000, &[("b", "")]), sample(3000, &[("b", "2")])];
    let now = UnixMillis(i64::MAX);
    let Trouble { about, why } = leave_out(&mut page, now).expect("two values");
    assert!(why.starts_with("b of 1970-01-01T00:00:01Z: ") && why.ends_with("; it is left out"), "{why}");
    assert_eq!(shown(&Taken::default().news(page)), ["1000 a 1", "3000 b 2"]);
    // Nor does its moment count: what follows is asked for from the newest one that was taken.
    let mut broken = vec![sample(i64::MAX / 2, &[("a", "nan")])];
    assert!(leave_out(&mut broken, now).is_some_and(|later| later.about == "a") && broken.is_empty());

    let mut told = Told::default();
    let mut heard = Vec::new();
    for (number, about) in [None, Some("x"), Some("x"), Some("y"), None, Some("y")].into_iter().enumerate() {
        let trouble = about.map(|about| Trouble { about: about.to_owned(), why: format!("{about} {number}") });
        told.tell(trouble, |why| heard.push(why.to_owned()));
    }
    assert_eq!((about.as_str(), heard), ("b", vec!["x 1".to_owned(), "y 3".to_owned(), "y 5".to_owned()]));
}

/// A CSV file of this text.
fn file(folder: &Path, text: &str) -> SourceConfig {
    let path = folder.join("room.csv");
    std::fs::write(&path, text).expect("a file");
    toml::from_str(&format!("peer = \"p\"\ncsv = '{}'", path.display())).expect("a source")
}

/// One round, with room for so many pages: what was taken, and why nothing more was.
async fn pages(
    source: &SourceConfig,
    clock: &ManualClock,
    progress: &mut Progress,
    room: usize,
) -> (Vec<Vec<SampleText>>, Option<String>) {
    let taken = RefCell::new(Vec::new());
    let add = |page: Vec<SampleText>| {
        let mut taken = taken.borrow_mut();
        let fits = taken.len() < room;
        let count = page.len();
        if fits {
            taken.push(page);
        }
        let full = PartyError::QueueFull { retry_after: Duration::ZERO };
        std::future::ready(if fits { Ok(count) } else { Err(full) })
    };
    let why = round(source, clock, UnixMillis(0), progress, add).await.err();
    (taken.into_inner(), why)
}

#[tokio::test]
async fn what_was_not_measured_yet_stops_nothing_and_is_taken_in_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = file(folder.path(), "at,a\n10000000,1\n90000000,2\n10001000,3\n");
    let clock = ManualClock::new(UnixMillis(10_002_000));
    let mut progress = Progress::default();
    let rows = |taken: Vec<Vec<SampleText>>| shown(&Taken::default().news(taken.into_iter().flatten().collect()));
    for expected in [&["10000000 a 1", "10001000 a 3"][..], &[]] {
        let (taken, why) = pages(&source, &clock, &mut progress, 9).await;
        assert_eq!(why, None);
        assert_eq!(rows(taken), expected);
        let Trouble { about, why } = progress.left_out.take().expect("a row");
        // The same trouble in each round, so the owner is not told each time.
        assert_eq!((about, progress.newest), (SampleError::Future.to_string(), UnixMillis(10_001_000)));
        assert!(why.starts_with("a row of 1970-01-02T01:00:00Z: its moment lies in the future"), "{why}");
    }
    clock.advance(80_000_000);
    let (taken, why) = pages(&source, &clock, &mut progress, 9).await;
    assert_eq!((rows(taken), why), (vec!["90000000 a 2".to_owned()], None));
    assert!(progress.left_out.is_none());
}

#[tokio::test]
async fn what_was_taken_of_a_long_file_is_not_taken_again_when_the_rest_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = i64::try_from(MAX_SAMPLES).expect("a number") + 10;
    let lines = (2..=rows).map(|minute| format!("{},1\n", minute * 60_000));
    let text: String = std::iter::once("at,a\n60000,nan\n".to_owned()).chain(lines).collect();
    let source = file(folder.path(), &text);
    let clock = ManualClock::new(UnixMillis(rows * 60_000));
    let mut progress = Progress::default();
    let outline = |taken: Vec<Vec<SampleText>>| -> Vec<(usize, Option<i64>)> {
        taken.iter().map(|page| (page.len(), page.first().map(|sample| sample.at.0 / 60_000))).collect()
    };

    // The last moment of a full page comes with the next one.
    let (taken, why) = pages(&source, &clock, &mut progress, 1).await;
    assert_eq!((outline(taken), why), (vec![(MAX_SAMPLES - 2, Some(2))], Some(NO_ROOM.to_owned())));
    let (taken, why) = pages(&source, &clock, &mut progress, 0).await;
    assert_eq!((outline(taken), why), (vec![], Some(NO_ROOM.to_owned())));
    let (taken, why) = pages(&source, &clock, &mut progress, 9).await;
    assert_eq!((outline(taken), why), (vec![(11, Some(rows - 10))], None));
    // What was left out while there was something else to tell is told now.
    assert!(progress.left_out.is_some_and(|left_out| left_out.about == "a"));
}

#[test]
fn of_what_is_asked_for_again_only_what_is_new_is_written() {
    let mut taken = Taken::default();
    let page = || vec![sample(1000, &[("a", "1")]), sample(2000, &[("a", "2")]), sample(2000, &[("a", "3")])];
    let news = taken.news(page());
    assert_eq!(shown(&news), ["1000 a 1", "2000 a 3"], "the last of one moment counts");
    taken.add(news);
    assert!(taken.news(page()).is_empty());
    // A row that came late, another series of the newest moment, a correction.
    let late = [sample(500, &[("a", "0")]), sample(1000, &[("a", "9")]), sample(2000, &[("b", "5")])];
    let news = taken.news(page().into_iter().chain(late).collect());
    assert_eq!(shown(&news), ["500 a 0", "1000 a 9", "2000 b 5"]);
    taken.add(news);
    assert_eq!(shown(&taken.0), ["500 a 0", "1000 a 9", "2000 a 3", "2000 b 5"]);
    taken.forget(UnixMillis(1000));
    assert_eq!(shown(&taken.0), ["2000 a 3", "2000 b 5"]);
}

#[test]
fn the_last_moment_of_a_full_page_is_read_again_whole() {
    let page = |moments: &[i64], full| {
        let samples = moments.iter().map(|at| sample(*at, &[("a", "1")])).collect();
        let (samples, next) = whole(Fetched { samples, full });
        (samples.iter().map(|sample| sample.at.0).collect::<Vec<_>>(), next.map(|next| next.0))
    };
    assert_eq!(page(&[1, 2, 2], true), (vec![1], Some(1)));
    assert_eq!(page(&[1, 2, 2], false), (vec![1, 2, 2], None));
    assert_eq!(page(&[2, 2], true), (vec![2, 2], Some(2)));
    assert_eq!(page(&[], true), (vec![], None));
}
