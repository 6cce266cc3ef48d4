//! Fields and bodies of partial updates.

use serde_json::Value;

use super::fields::not_blank;
use crate::api::{FieldProblem, FieldValue, FromField, Source};

/// A field of a partial update: absent keeps the value, null clears it, a value replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T: FieldValue> FromField for Patch<T> {
    fn absent() -> Result<Self, FieldProblem> {
        Ok(Self::Absent)
    }

    fn present(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source {
            Source::Json(Value::Null) => Ok(Self::Null),
            source => {
                not_blank(source, "send null or leave the field out").and_then(T::read).map(Self::Value)
            }
        }
    }
}

/// A field of a partial update that cannot be cleared: null is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace<T>(pub Option<T>);

impl<T: FieldValue> FromField for Replace<T> {
    fn absent() -> Result<Self, FieldProblem> {
        Ok(Self(None))
    }

    fn present(source: Source<'_>) -> Result<Self, FieldProblem> {
        match source {
            Source::Json(Value::Null) => Err(FieldProblem::new("REQUIRED", "cannot be cleared")),
            source => {
                not_blank(source, "leave the field out").and_then(T::read).map(|value| Self(Some(value)))
            }
        }
    }
}

impl<T> Patch<T> {
    /// Applies the change to a value that may be null.
    pub fn apply<U: From<T>>(self, value: &mut Option<U>) {
        match self {
            Self::Absent => (),
            Self::Null => *value = None,
            Self::Value(new) => *value = Some(new.into()),
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Patch<T> {
    /// Applies the change to a value whose default means that there is none.
    pub fn apply_or_clear<U: From<T> + Default>(self, value: &mut U) {
        match self {
            Self::Absent => (),
            Self::Null => *value = U::default(),
            Self::Value(new) => *value = new.into(),
        }
    }
}

impl<T> Replace<T> {
    /// Applies the change.
    pub fn apply<U: From<T>>(self, value: &mut U) {
        if let Some(new) = self.0 {
            *value = new.into();
        }
    }

    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

/// Defines the body of a partial update as [`crate::body!`] does.
///
/// A field is a `Patch<T>`, which null clears, or a `Replace<T>`. Its schema is that of `T`, or
/// another one: `Patch<Cents> as f64`. A body of a bulk update can also have fields of other types.
#[macro_export]
macro_rules! patch {
    (@ $head:tt $name:ident [$($done:tt)*] [$($given:tt)*]
        $(#[$meta:meta])* $json:literal => $field:ident : Replace<$type:ty>, $($rest:tt)*) => {
        $crate::patch!(@ $head $name [$($done)*] [$($given)*]
            $(#[$meta])* $json => $field: Replace<$type> as $type, $($rest)*);
    };
    (@ $head:tt $name:ident [$($done:tt)*] [$($given:tt)*]
        $(#[$meta:meta])* $json:literal => $field:ident : Patch<$type:ty>, $($rest:tt)*) => {
        $crate::patch!(@ $head $name [$($done)*] [$($given)*]
            $(#[$meta])* $json => $field: Patch<$type> as $type, $($rest)*);
    };
    (@ $head:tt $name:ident [$($done:tt)*] [$($given:tt)*]
        $(#[$meta:meta])* $json:literal => $field:ident : Replace<$type:ty> as $shown:ty, $($rest:tt)*) => {
        $crate::patch!(@ $head $name
            [$($done)* $(#[$meta])* #[schema(value_type = $shown, required = false)]
                $json => $field: $crate::api::Replace<$type>,]
            [$($given)* ($json, $field)] $($rest)*);
    };
    (@ $head:tt $name:ident [$($done:tt)*] [$($given:tt)*]
        $(#[$meta:meta])* $json:literal => $field:ident : Patch<$type:ty> as $shown:ty, $($rest:tt)*) => {
        $crate::patch!(@ $head $name
            [$($done)* $(#[$meta])* #[schema(value_type = Option<$shown>, required = false)]
                $json => $field: $crate::api::Patch<$type>,]
            [$($given)* ($json, $field)] $($rest)*);
    };
    (@ $head:tt $name:ident [$($done:tt)*] $given:tt
        $(#[$meta:meta])* $json:literal => $field:ident : $type:ty, $($rest:tt)*) => {
        $crate::patch!(@ $head $name
            [$($done)* $(#[$meta])* $json => $field: $type,] $given $($rest)*);
    };
    (@ [$($head:tt)*] $name:ident [$($fields:tt)*] [$(($json:literal, $field:ident))*]) => {
        $crate::body! { $($head)* $name { $($fields)* } }

        impl $crate::api::PartialUpdate for $name {
            fn given(&self) -> Vec<&'static str> {
                let fields = [$(($json, !self.$field.is_absent())),*];
                fields.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* }) => {
        $crate::patch!(@ [$(#[$meta])* $vis struct] $name [] [] $($fields)*);
    };
}

/// A body of a partial update; [`crate::patch!`] implements it.
pub trait PartialUpdate {
    /// Returns the names of the given fields.
    fn given(&self) -> Vec<&'static str>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema as _;

    use super::*;
    use crate::api::{Email, Fields, FromFields as _};

    crate::patch! {
        struct Sample {
            "id" => id: Email,
            "name" => name: Replace<Email>,
            #[schema(minimum = 0)]
            "price" => price: Patch<Email> as f64,
        }
    }

    #[test]
    fn a_partial_update_requires_no_field_that_it_can_keep_and_names_those_that_are_given() {
        let schema = serde_json::to_value(Sample::schema()).unwrap();
        assert_eq!(schema["required"], json!(["id"]));
        assert_eq!(schema["properties"]["name"], json!({ "$ref": "#/components/schemas/Email" }));
        let price = &schema["properties"]["price"];
        assert_eq!((&price["type"], price["minimum"].as_f64()), (&json!(["number", "null"]), Some(0.0)));
        for (body, given, wrong) in [
            (json!({ "id": "a@b.cd" }), &[][..], None),
            (json!({ "id": "a@b.cd", "price": null }), &["price"][..], None),
            (json!({ "id": "a@b.cd", "name": "b@b.cd", "price": "c@b.cd" }), &["name", "price"][..], None),
            (json!({ "id": "a@b.cd", "name": null }), &[][..], Some("body.name")),
            (json!({ "name": "b@b.cd" }), &[][..], Some("body.id")),
        ] {
            let read = Sample::read(Fields::of_body(body.as_object().unwrap()));
            let locations = read.as_ref().err().map(|it| it.listed()[0].location.clone());
            assert_eq!(locations.as_deref(), wrong, "{body}");
            if let Ok(sample) = read {
                assert_eq!(sample.given(), given, "{body}");
                assert_eq!(
                    (sample.id.0.as_str(), sample.price.is_absent()),
                    ("a@b.cd", given.is_empty()),
                    "{body}"
                );
            }
        }
    }
}
