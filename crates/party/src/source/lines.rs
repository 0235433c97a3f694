use std::io::{self, BufRead};

/// Calls `each` with every line without its end; lines above `limit` bytes are given as `None`.
///
/// Needs `limit` bytes of memory whatever the input is.
pub(super) fn for_each_line(
    mut reader: impl BufRead,
    limit: usize,
    mut each: impl FnMut(Option<&[u8]>),
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = match reader.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if chunk.is_empty() {
            if too_long || !line.is_empty() {
                each((!too_long).then_some(&line));
            }
            return Ok(());
        }
        let end = chunk.iter().position(|b| *b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        too_long |= line.len() + part.len() > limit;
        if !too_long {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        reader.consume(taken);
        if end.is_some() {
            let whole = line.strip_suffix(b"\r").unwrap_or(&line);
            each((!too_long).then_some(whole));
            line.clear();
            too_long = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn long_lines_are_skipped_in_bounded_memory() {
        let text = format!("a\r\n{}\nb\n\nlast", "x".repeat(100));
        let mut seen = Vec::new();
        let reader = BufReader::with_capacity(7, text.as_bytes());
        for_each_line(reader, 10, |line| seen.push(line.map(<[u8]>::to_vec))).expect("memory is readable");
        let expected = [Some(&b"a"[..]), None, Some(b"b"), Some(b""), Some(b"last")];
        assert_eq!(seen, expected.map(|line| line.map(<[u8]>::to_vec)));
    }
}
