//! Tables and bars for a terminal.

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One line of bars, `width` wide; each bar is the largest value of its share of the day.
pub(crate) fn bars(values: &[u128], width: usize) -> String {
    let largest = values.iter().copied().max().unwrap_or(0).max(1);
    let step = values.len().div_ceil(width.max(1)).max(1);
    values
        .chunks(step)
        .map(|chunk| {
            let height = chunk.iter().copied().max().unwrap_or(0) * 8;
            let level = usize::try_from(height.div_ceil(largest)).unwrap_or(8);
            BLOCKS[level.min(8)]
        })
        .collect()
}

/// Right-aligned columns under their headings.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect();
        format!("  {}\n", cells.join("   "))
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_the_peak_of_each_share() {
        assert_eq!(bars(&[0, 1, 8, 0], 4), " ▁█ ");
        assert_eq!(bars(&[0, 1, 8, 0], 2), "▁█");
        assert_eq!(bars(&[0, 0], 2), "  ");
        assert_eq!(bars(&[], 5), "");
    }

    #[test]
    fn tables_line_up() {
        assert_eq!(table(&["a", "bb"], &[vec!["10".into(), "2".into()]]), "   a   bb\n  10    2\n");
    }
}
