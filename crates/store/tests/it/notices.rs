//! Gateway: where clients want to hear of their tasks.

use tacit_model::Slot;

use crate::tasks::of_task;
use crate::{Fixture, at, on_both};

on_both! {
    a_known_task_is_told_where_its_client_says,
    what_an_earlier_address_answered_changes_nothing_at_the_next,
}

async fn a_known_task_is_told_where_its_client_says(f: &Fixture) {
    let s = &f.store;
    let told = async || -> Vec<String> {
        s.notices_open()
            .await
            .unwrap()
            .into_iter()
            .map(|notice| format!("{} {}", notice.url, notice.attempts))
            .collect()
    };
    s.add_task(of_task("a")).await.unwrap();
    s.end_window("a", Slot(0), "{}".to_owned(), "done", "", None, at(1)).await.unwrap();
    // Before a task is kept anybody may have meant it; afterwards it is its client's.
    s.add_notice("a", "https://x.example/", at(2)).await.unwrap();
    s.set_notice("a", "somebody else", "https://x.example/", at(2)).await.unwrap();
    assert_eq!(told().await, [""; 0]);
    s.set_notice("a", "c", "https://a.example/", at(2)).await.unwrap();
    assert_eq!(told().await, ["https://a.example/ 0"]);
    // Again, after a failure: the pause and what was told stay.
    s.notice_failed(&s.notices_open().await.unwrap()[0], at(9)).await.unwrap();
    s.set_notice("a", "c", "https://a.example/", at(3)).await.unwrap();
    assert_eq!(told().await, ["https://a.example/ 1"]);
    s.notice_told(&s.notices_open().await.unwrap()[0]).await.unwrap();
    s.set_notice("a", "c", "https://a.example/", at(4)).await.unwrap();
    assert_eq!(told().await, [""; 0]);
    // Elsewhere nothing of it is known.
    s.set_notice("a", "somebody else", "https://x.example/", at(5)).await.unwrap();
    assert_eq!(told().await, [""; 0]);
    s.set_notice("a", "c", "https://b.example/", at(5)).await.unwrap();
    assert_eq!(told().await, ["https://b.example/ 0"]);
    // One that is worked at and not kept yet.
    s.set_notice("b", "c", "https://a.example/", at(6)).await.unwrap();
    s.add_task(of_task("b")).await.unwrap();
    s.end_window("b", Slot(0), "{}".to_owned(), "done", "", None, at(7)).await.unwrap();
    assert_eq!(told().await, ["https://b.example/ 0", "https://a.example/ 0"]);
}

/// Somebody is posted to while the client names another address: what the first one answers is not said of the second.
async fn what_an_earlier_address_answered_changes_nothing_at_the_next(f: &Fixture) {
    let s = &f.store;
    s.add_task(of_task("a")).await.unwrap();
    s.end_window("a", Slot(0), "{}".to_owned(), "done", "", None, at(1)).await.unwrap();
    s.set_notice("a", "c", "https://a.example/", at(2)).await.unwrap();
    let posted = s.notices_open().await.unwrap();
    s.set_notice("a", "c", "https://b.example/", at(3)).await.unwrap();
    let open = s.notices_open().await.unwrap();
    assert_eq!((posted[0].url.as_str(), open[0].url.as_str()), ("https://a.example/", "https://b.example/"));
    s.notice_told(&posted[0]).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap(), open);
    s.notice_failed(&posted[0], at(9)).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap(), open);
    s.forget_notice(&posted[0]).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap(), open);
    // Its own answers count.
    s.notice_failed(&open[0], at(9)).await.unwrap();
    let failed = s.notices_open().await.unwrap();
    assert_eq!((failed[0].attempts, failed[0].next_at), (1, at(9)));
    s.notice_told(&open[0]).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap(), []);
    // What is forgotten is set anew; the same address would otherwise change nothing.
    s.forget_notice(&open[0]).await.unwrap();
    s.set_notice("a", "c", "https://b.example/", at(10)).await.unwrap();
    assert_eq!(s.notices_open().await.unwrap().len(), 1);
}
