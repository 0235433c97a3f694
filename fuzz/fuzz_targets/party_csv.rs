//! CSV files of rows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_party::source::read_csv;

fuzz_target!(|data: &[u8]| {
    let Some((&items, data)) = data.split_first() else { return };
    let items = usize::from(items % 8);
    // With the header that the fuzzer would have to find, and as it is.
    let with_header = [b"slot_start,a\n", data].concat();
    for file in [data, &with_header] {
        match read_csv(file, items) {
            Ok(rows) => {
                assert!(rows.iter().all(|row| row.row.len() == items));
                assert!(rows.windows(2).all(|pair| pair[0].slot_start < pair[1].slot_start), "in order, each once");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
