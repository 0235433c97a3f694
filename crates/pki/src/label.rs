use crate::PkiError;

/// Labels are shown to people and become a certificate's common name (X.520: at most 64 characters).
pub(crate) const MAX_LABEL: usize = 64;

/// Accepts a label that reads the same for everybody: 1 to 64 visible characters, no space in front or behind.
pub fn check_label(label: &str) -> Result<(), PkiError> {
    if label.is_empty() {
        return Err(PkiError::Label("it is empty"));
    }
    if label.chars().count() > MAX_LABEL {
        return Err(PkiError::Label("it is too long"));
    }
    if label.trim() != label {
        return Err(PkiError::Label("it begins or ends with a space"));
    }
    if label.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(PkiError::Label("it holds invisible characters"));
    }
    Ok(())
}

/// Two labels that a person would take for the same.
pub(crate) fn same_label(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Zero-width, direction-changing and line-breaking characters: they make two labels look alike.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_people_and_machines() {
        for label in ["ppeer1", "Universitätsklinikum Ulm", "n01.flexsmc.local", "病院", &"x".repeat(64)] {
            assert!(check_label(label).is_ok(), "{label}");
        }
    }

    #[test]
    fn refuses_what_misleads() {
        for label in ["", " a", "a ", "a\nb", "a\u{202e}b", "a\u{200b}", "a\0", &"x".repeat(65)] {
            assert!(check_label(label).is_err(), "{label:?}");
        }
        assert!(same_label("Hospital A", "hospital a"));
    }
}
