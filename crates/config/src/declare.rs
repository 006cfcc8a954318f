//! One declaration for each setting: its type, its default, and what it means. From it come the struct, the reading and
//! the reference.

use crate::document::Row;
use crate::field::Field;
use crate::reader::{Default, Reader};

/// A group of settings.
pub(crate) trait Group: Sized {
    /// Reads all of them, then checks how they fit together. `None` when a required one is missing.
    fn read(reader: &mut Reader) -> Option<Self>;

    /// Adds a row for each setting.
    fn document(prefix: &str, rows: &mut Vec<Row>);

    /// How the settings of this group fit together.
    fn check(&self, _reader: &mut Reader) {}
}

/// What can stand in a group: a value, a group, a list of groups.
pub(crate) trait Member: Sized {
    fn read(reader: &mut Reader, name: &str, default: Default) -> Option<Self>;
    fn document(prefix: &str, name: &str, meaning: &str, rows: &mut Vec<Row>);
}

/// A value, marked as such: Rust cannot tell a value from a group by itself.
pub(crate) struct OneValue<T>(pub(crate) T);

impl<T: Field> Member for OneValue<T> {
    fn read(reader: &mut Reader, name: &str, default: Default) -> Option<Self> {
        reader.value(name, default).map(Self)
    }

    fn document(prefix: &str, name: &str, meaning: &str, rows: &mut Vec<Row>) {
        rows.push(Row::new(format!("{prefix}{name}"), meaning));
    }
}

/// A group within a group.
pub(crate) struct OneGroup<T>(pub(crate) T);

impl<T: Group> Member for OneGroup<T> {
    fn read(reader: &mut Reader, name: &str, _: Default) -> Option<Self> {
        reader.within(name, T::read).map(Self)
    }

    fn document(prefix: &str, name: &str, _: &str, rows: &mut Vec<Row>) {
        T::document(&format!("{prefix}{name}."), rows);
    }
}

/// A list of groups: `[[members]]`.
pub(crate) struct ManyGroups<T>(pub(crate) Vec<T>);

impl<T: Group> Member for ManyGroups<T> {
    fn read(reader: &mut Reader, name: &str, _: Default) -> Option<Self> {
        let names = (0_usize..).map(|index| format!("{name}[{index}]"));
        let mut groups = Vec::new();
        let mut complete = true;
        for name in names {
            if !reader.has_group(&name) {
                break;
            }
            match reader.within(&name, T::read) {
                Some(group) => groups.push(group),
                None => complete = false,
            }
        }
        complete.then_some(Self(groups))
    }

    fn document(prefix: &str, name: &str, _: &str, rows: &mut Vec<Row>) {
        T::document(&format!("{prefix}{name}[]."), rows);
    }
}

/// Declares a group. Each line: the meaning as a doc comment (with unit, default, since), `kind name: type = default;`
/// where the kind is `value`, `group` or `groups`. A default may use the settings above it, as options.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $name:ident $(, checked by $check:path)? {
            $( $(#[doc = $meaning:literal])+ $kind:ident $field:ident : $type:ty $(= $default:expr)?; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $meaning])+ pub $field: settings!(@type $kind $type), )+
        }

        impl $crate::declare::Group for $name {
            fn read(reader: &mut $crate::reader::Reader) -> Option<Self> {
                use $crate::declare::Member as _;
                $(
                    let default = settings!(@default $($default)?);
                    let $field = <settings!(@member $kind $type)>::read(reader, stringify!($field), default)
                        .map(|member| member.0);
                )+
                let settings = Self { $( $field: $field?, )+ };
                settings.check(reader);
                Some(settings)
            }

            fn document(prefix: &str, rows: &mut Vec<$crate::document::Row>) {
                use $crate::declare::Member as _;
                $(
                    <settings!(@member $kind $type)>::document(
                        prefix, stringify!($field), concat!($($meaning),+), rows
                    );
                )+
            }

            $( fn check(&self, reader: &mut $crate::reader::Reader) { $check(self, reader); } )?
        }
    };
    (@type groups $type:ty) => { Vec<$type> };
    (@type $kind:ident $type:ty) => { $type };
    (@member value $type:ty) => { $crate::declare::OneValue<$type> };
    (@member group $type:ty) => { $crate::declare::OneGroup<$type> };
    (@member groups $type:ty) => { $crate::declare::ManyGroups<$type> };
    (@default) => { $crate::reader::Default::Required };
    (@default $default:expr) => { $crate::reader::text($default) };
}

pub(crate) use settings;
