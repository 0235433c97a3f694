//! Lines of a terminal that are drawn again in place.

use std::io::Write;

/// What is drawn stays where it is; on anything but a terminal nothing is.
#[derive(Debug)]
pub(crate) struct Live {
    watched: bool,
    height: usize,
}

impl Live {
    /// Nothing is drawn yet. `watched` says whether there is a terminal.
    pub(crate) fn new(watched: bool) -> Self {
        Self { watched, height: 0 }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Draws these lines instead of those before.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        if self.watched {
            let mut out = std::io::stdout();
            // A demo whose reader has gone still ends its processes.
            let _shown = out.write_all(frame(self.height, lines).as_bytes()).and_then(|()| out.flush());
            self.height = lines.len();
        }
    }
}

/// The bytes that replace the last `height` lines. A line that is too long is cut off by the terminal: it must not
/// take two.
fn frame(height: usize, lines: &[String]) -> String {
    let up = if height == 0 { String::new() } else { format!("\x1b[{height}A") };
    let lines: String = lines.iter().map(|line| format!("\r\x1b[2K{line}\n")).collect();
    format!("\x1b[?7l{up}{lines}\x1b[J\x1b[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows after these bytes; knows what `frame` uses, and nothing else.
    fn shown(bytes: &str) -> Vec<String> {
        let (mut screen, mut at) = (vec![String::new()], 0);
        let mut rest = bytes;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\n' => {
                    at += 1;
                    if at == screen.len() {
                        screen.push(String::new());
                    }
                }
                '\r' => {}
                '\x1b' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                    match rest.split_at(end + 1) {
                        ("[2K", _) => screen[at].clear(),
                        ("[J", _) => {
                            screen.truncate(at + 1);
                            screen[at].clear();
                        }
                        ("[?7l" | "[?7h", _) => {}
                        (up, _) => at -= up[1..end].parse::<usize>().unwrap(),
                    }
                    rest = &rest[end + 1..];
                }
                c => screen[at].push(c),
            }
        }
        screen
    }

    #[test]
    fn each_frame_takes_the_place_of_the_one_before() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut bytes = "the story\n".to_owned();
        let mut height = 0;
        for texts in [&["one", "two"][..], &["three", "two", "four"], &["five"]] {
            bytes += &frame(height, &lines(texts));
            height = texts.len();
            let mut all = vec!["the story"];
            all.extend(texts);
            all.push("");
            assert_eq!(shown(&bytes), all);
        }
    }

    #[test]
    fn nothing_is_drawn_where_there_is_no_terminal() {
        let mut live = Live::new(false);
        live.draw(&["a line".to_owned()]);
        assert_eq!((live.is_watched(), live.height), (false, 0));
    }
}
