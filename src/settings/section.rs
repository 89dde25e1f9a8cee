//! The two forms in which settings are declared: one list of keys makes the struct, its reader and its reference.

/// Declares a section: a struct whose fields are the keys. Doc comments become the reference; `=> reload` or
/// `=> restart` says when a change comes into force; a key without a default must be written. A section in which
/// every key has a default is `Default`.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr => $reach:ident;)+
        }
    ) => {
        section! { @fields
            $(#[doc = $about])+
            pub struct $name { $($(#[doc = $doc])+ $key: $type, Some($default), $reach;)+ }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),+ }
            }
        }
    };
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty $(= $default:expr)? => $reach:ident;)+
        }
    ) => {
        section! { @fields
            $(#[doc = $about])+
            pub struct $name {
                $($(#[doc = $doc])+ $key: $type, section!(@default $($default)?), $reach;)+
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@reach reload) => { $crate::settings::parse::Reach::Reload };
    (@reach restart) => { $crate::settings::parse::Reach::Restart };
    (@fields
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty, $default:expr, $reach:ident;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $type,)+
        }

        impl $crate::settings::parse::Value for $name {
            fn kind() -> String {
                "table".to_owned()
            }

            fn read(
                reader: &mut $crate::settings::parse::Reader<'_>,
                node: &$crate::settings::parse::Node<'_>,
            ) -> Option<Self> {
                reader.section(node, &[$(stringify!($key)),+])?;
                $(let $key: Option<$type> = reader.field(node, stringify!($key), $default);)+
                Some(Self { $($key: $key?),+ })
            }

            fn shown(&self) -> serde_json::Value {
                let mut table = serde_json::Map::new();
                $(table.insert(
                    stringify!($key).to_owned(),
                    $crate::settings::parse::Value::shown(&self.$key),
                );)+
                serde_json::Value::Object(table)
            }

            fn shape() -> $crate::settings::parse::Shape {
                $crate::settings::parse::Shape::Section
            }

            fn keys() -> Vec<$crate::settings::parse::Key> {
                vec![$({
                    let default: Option<$type> = $default;
                    $crate::settings::parse::Key::of::<$type>(
                        stringify!($key),
                        default.as_ref(),
                        &[$($doc),+],
                        section!(@reach $reach),
                    )
                }),+]
            }

            fn about() -> String {
                $crate::settings::parse::sentence(&[$($about),+])
            }
        }
    };
}

/// Declares an enum whose values are words in the file.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident {
            $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word for it in the settings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!(
                        "`{word}` is not known{}",
                        $crate::settings::parse::advice(word, Self::WORDS.iter().copied()),
                    )),
                }
            }
        }

        impl $crate::settings::parse::Value for $name {
            fn kind() -> String {
                let words: Vec<_> = Self::WORDS.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(" or ")
            }

            fn read(
                reader: &mut $crate::settings::parse::Reader<'_>,
                node: &$crate::settings::parse::Node<'_>,
            ) -> Option<Self> {
                reader.parsed(node, &Self::kind(), str::parse)
            }

            fn shown(&self) -> serde_json::Value {
                self.as_str().into()
            }
        }
    };
}

pub(crate) use {choice, section};
