/// A text that should have been an id and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: expected {digits} hexadecimal digits")]
pub struct ParseIdError {
    /// Which kind of id was expected.
    pub what: &'static str,
    /// How many digits it has.
    pub digits: usize,
}

/// Makes a type in JSON the text that it is displayed as and read from. For crates that know serde.
#[macro_export]
macro_rules! text_in_json {
    ($name:ident) => {
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let text = <::std::string::String as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

/// Gives `struct Id(pub [u8; N])` its text form: lowercase hexadecimal digits, also in JSON; `Debug` shows the first
/// of them. For crates that know hex and serde.
#[macro_export]
macro_rules! hexadecimal_id {
    ($name:ident: $bytes:literal, $what:literal) => {
        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let mut digits = [0; 2 * $bytes];
                // Fails on another length only. Ids are written often, and this allocates nothing.
                ::hex::encode_to_slice(self.0, &mut digits).map_err(|_| ::core::fmt::Error)?;
                f.write_str(::core::str::from_utf8(&digits).map_err(|_| ::core::fmt::Error)?)
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), ::hex::encode(&self.0[..6]))
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::ParseIdError;

            fn from_str(text: &str) -> ::core::result::Result<Self, $crate::ParseIdError> {
                let mut bytes = [0; $bytes];
                let wrong = $crate::ParseIdError { what: $what, digits: 2 * $bytes };
                ::hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong)?;
                Ok(Self(bytes))
            }
        }

        $crate::text_in_json!($name);
    };
}
