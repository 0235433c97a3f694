//! Rows of the P2DS manual.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_engine::RowShape;
use tacit_party::source::{format_row, parse_row};

fuzz_target!(|text: &str| {
    match parse_row(text, None) {
        Ok(row) => {
            let again = format_row(row.expose());
            let shape = RowShape::Items(row.len());
            assert!(parse_row(&again, Some(shape)).is_ok_and(|same| same.expose() == row.expose()));
            assert!(parse_row(text, Some(RowShape::Items(row.len() + 1))).is_err());
            for columns in 0..4 {
                let shape = RowShape::Records { columns, most: 5 };
                assert_eq!(parse_row(text, Some(shape)).is_ok(), shape.fits(row.len()));
            }
        }
        Err(error) => {
            // A place, never a value: no number of the text that is longer than a place can be.
            let told = error.to_string();
            let long = |number: &&str| number.len() > 9 && number.bytes().all(|b| b.is_ascii_digit());
            assert!(!text.split(';').map(str::trim).filter(long).any(|number| told.contains(number)));
        }
    }
});
