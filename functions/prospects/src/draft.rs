//! Request bodies of create and update, and the rules that span fields or need the database.

use jiff::civil::Date;
use shared::{
    api::{
        ApiError, ApiResult, Email, FieldError, FieldErrors, FieldProblem, FieldValue, Fields, FromField,
        FromFields, Phone, Source, UpdateOf,
    },
    body,
    domain::{address, ids::ProviderId},
    egress::Client,
    patch,
    sql::Conn,
    tenant::{patients::PatientDetails, providers},
};

use crate::{
    fields::{
        Country, FullName, Gender, Kinds, LifeStage, MiddleInitial, Name, PatientNotes, PostalCode,
        ProspectFlag, ShortText, State, Street,
    },
    image::Image,
};

/// Generates both request bodies from one list of the fields that may be absent or null.
macro_rules! bodies {
    ($($json:literal => $field:ident : $type:ty),+ $(,)?) => {
        body! {
            /// A prospect to create. It needs `FirstName`, `LastName`, and `EMail`, `Phone` or
            /// `CellPhone`.
            #[derive(Clone)]
            pub struct CreateProspect {
                "FirstName" => first_name: Name,
                "LastName" => last_name: Name,
                /// Defaults to first name, middle initial and last name.
                "FullName" => full_name: Option<FullName>,
                "DOB" => dob: Option<Date>,
                /// Defaults to 1.
                "Prospect" => prospect: Option<ProspectFlag>,
                $($json => $field: Option<$type>,)+
            }
        }

        patch! {
            /// The fields to change. An absent field keeps its value; null clears it.
            ///
            /// `FirstName`, `LastName` and `Prospect` cannot be cleared. Clearing `FullName` resets
            /// it to first name, middle initial and last name. Read-only fields may be sent back
            /// unchanged.
            #[derive(Clone)]
            pub struct UpdateProspect {
                "FirstName" => first_name: Replace<Name>,
                "LastName" => last_name: Replace<Name>,
                "FullName" => full_name: Patch<FullName>,
                "DOB" => dob: Patch<Date>,
                "Prospect" => prospect: Replace<ProspectFlag>,
                $( $json => $field: Patch<$type>,)+
            }
        }

        impl From<CreateProspect> for PatientDetails {
            fn from(new: CreateProspect) -> Self {
                let mut details = Self {
                    first_name: new.first_name.into(),
                    last_name: new.last_name.into(),
                    prospect: new.prospect.is_none_or(|flag| flag.0),
                    $($field: new.$field.map(Into::into),)+
                    ..Self::default()
                };
                details.set_dob(new.dob);
                details.full_name = new.full_name.map_or_else(|| details.name_of_parts(), Into::into);
                details
            }
        }

        impl UpdateProspect {
            /// Applies the changes. A full name that equals the joined parts changes with them.
            pub(crate) fn apply(self, details: &mut PatientDetails) {
                let follows = details.full_name == details.name_of_parts();
                self.first_name.apply(&mut details.first_name);
                self.last_name.apply(&mut details.last_name);
                $(self.$field.apply(&mut details.$field);)+
                let mut dob = details.dob();
                self.dob.apply(&mut dob);
                details.set_dob(dob);
                self.prospect.apply(&mut details.prospect);
                let mut full_name = Some(std::mem::take(&mut details.full_name)).filter(|_| !follows);
                self.full_name.apply(&mut full_name);
                details.full_name = full_name.unwrap_or_else(|| details.name_of_parts());
            }
        }
    };
}

bodies! {
    "MI" => mi: MiddleInitial,
    "NickName" => nick_name: Name,
    "Gender" => gender: Gender,
    "LifeStage" => life_stage: LifeStage,
    "Pronouns" => pronouns: ShortText,
    "SexualIdentity" => sexual_identity: ShortText,
    "PrimaryLanguage" => primary_language: ShortText,
    "Type" => kind: Kinds,
    "Phone" => phone: Phone,
    "CellPhone" => cell_phone: Phone,
    "SMSPhone" => sms_phone: Phone,
    "EMail" => email: Email,
    "Address" => address: Street,
    "Unit" => unit: ShortText,
    "City" => city: Name,
    "State" => state: State,
    "Zip" => zip: PostalCode,
    "Country" => country: Country,
    "ProviderID" => provider_id: ProviderId,
    "Sh_Name" => sh_name: Street,
    "Sh_Address" => sh_address: Street,
    "Sh_Unit" => sh_unit: ShortText,
    "Sh_City" => sh_city: Name,
    "Sh_State" => sh_state: State,
    "Sh_Zip" => sh_zip: PostalCode,
    "Sh_Country" => sh_country: Country,
    "PtImg" => pt_img: Image,
    "Notes" => notes: PatientNotes,
}

/// A request body whose field errors are held back until the database checks are done.
///
/// This way one response names every invalid field.
#[derive(Clone)]
pub(crate) struct Draft<T> {
    read: Result<T, FieldErrors>,
    dob: Option<Date>,
    provider_id: Option<ProviderId>,
    image: Option<Image>,
    postal: [Postal; 2],
}

/// The fields of one address that are validated together.
#[derive(Clone)]
struct Postal {
    names: [&'static str; 3],
    state: Given<State>,
    zip: Given<PostalCode>,
    country: Given<Country>,
}

impl Postal {
    /// Returns the errors of the address as it will be stored.
    ///
    /// A stored part is validated again only if the request changes the country.
    fn faults(self, stored: [Option<&str>; 3]) -> Vec<(&'static str, String)> {
        let [stored_state, stored_zip, stored_country] = stored;
        let country_changes = !matches!(self.country, Given::Absent);
        // State and postal code cannot be validated against an invalid country.
        let Some(country) = self.country.after(stored_country) else { return Vec::new() };
        let validated = |given: Given<String>, stored: Option<&str>, check: Check| {
            let unsent = matches!(given, Given::Absent);
            if unsent && !country_changes {
                return None;
            }
            let message = check(&given.after(stored)??, country.as_deref()).err()?;
            Some(if unsent {
                format!("the stored value does not match the country: it {message}; send a new value or null")
            } else {
                message.to_owned()
            })
        };
        let [state_name, zip_name, _] = self.names;
        let state = validated(self.state.map(Into::into), stored_state, address::check_state);
        let zip = validated(self.zip.map(Into::into), stored_zip, address::check_postal_code);
        state.map(|it| (state_name, it)).into_iter().chain(zip.map(|it| (zip_name, it))).collect()
    }
}

/// Validates one part of an address for a country.
type Check = fn(&str, Option<&str>) -> Result<(), &'static str>;

/// A field that is read a second time; its errors have already been recorded.
#[derive(Clone)]
enum Given<T> {
    Absent,
    Null,
    Value(T),
    Wrong,
}

impl<T: FieldValue> FromField for Given<T> {
    fn absent() -> Result<Self, FieldProblem> {
        Ok(Self::Absent)
    }

    fn present(source: Source<'_>) -> Result<Self, FieldProblem> {
        Ok(match source {
            Source::Json(serde_json::Value::Null) => Self::Null,
            source => T::read(source).map_or(Self::Wrong, Self::Value),
        })
    }
}

impl<T> Given<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(into(value)),
            Self::Wrong => Given::Wrong,
        }
    }

    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Into<String>> Given<T> {
    /// Returns the value after the request (`Some(None)` for null), or `None` if invalid.
    #[allow(clippy::option_option)] // invalid, null, or a text
    fn after(self, stored: Option<&str>) -> Option<Option<String>> {
        match self {
            Self::Absent => Some(stored.map(str::to_owned)),
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value.into())),
            Self::Wrong => None,
        }
    }
}

/// The rules that span several fields of one request body.
pub(crate) trait Rules: FromFields {
    fn validate(fields: &mut Fields<'_>);
}

impl Rules for CreateProspect {
    fn validate(fields: &mut Fields<'_>) {
        let ways = ["EMail", "Phone", "CellPhone"];
        let missing = |way| matches!(fields.take::<Given<Name>>(way), Some(Given::Absent | Given::Null));
        if ways.map(missing).into_iter().all(|it| it) {
            for way in ways {
                fields.note(
                    way,
                    FieldProblem::new("REQUIRED", "one of EMail, Phone and CellPhone is required"),
                );
            }
        }
    }
}

impl Rules for UpdateProspect {
    fn validate(_: &mut Fields<'_>) {}
}

impl UpdateOf for Draft<UpdateProspect> {
    const READ_ONLY: &'static [&'static str] = &["PatientID", "Tags", "CreatedAt", "UpdatedAt"];
}

impl<T: Rules> FromFields for Draft<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let dob = fields.take::<Given<Date>>("DOB")?.value();
        let provider_id = fields.take::<Given<ProviderId>>("ProviderID")?.value();
        let image = fields.take::<Given<Image>>("PtImg")?.value();
        let mut postal = |names: [&'static str; 3]| {
            let [state, zip, country] = names;
            let (state, zip, country) = (fields.take(state)?, fields.take(zip)?, fields.take(country)?);
            Some(Postal { names, state, zip, country })
        };
        let postal = [postal(["State", "Zip", "Country"])?, postal(["Sh_State", "Sh_Zip", "Sh_Country"])?];
        Some(Self { read: Err(FieldErrors::default()), dob, provider_id, image, postal })
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, FieldErrors> {
        let Some(draft) = Self::from_fields(&mut fields) else { return Err(FieldErrors::default()) };
        let read = T::from_fields(&mut fields);
        T::validate(&mut fields);
        Ok(Self { read: fields.finish(read, T::NAMES), ..draft })
    }
}

impl<T> Draft<T> {
    /// Returns why the host of the image's URL is not allowed, or `None` if it is.
    pub(crate) async fn image_refused(&self, hooks: &Client) -> Option<String> {
        self.image.as_ref()?.refused(hooks).await
    }

    /// Returns the body if it is valid.
    ///
    /// `today` is the practice's current date, `stored` the record before an update, and
    /// `image_refused` the result of [`Self::image_refused`].
    ///
    /// # Errors
    /// 422 with every invalid field.
    pub(crate) async fn check(
        self,
        conn: &mut Conn,
        today: Date,
        stored: Option<&PatientDetails>,
        image_refused: Option<&str>,
    ) -> ApiResult<T> {
        let mut errors = FieldErrors::default();
        let mut wrong = |name: &str, code, message: &str| {
            errors.push(FieldError { location: format!("body.{name}"), code, message: message.to_owned() });
        };
        if self.dob.is_some_and(|dob| dob > today) {
            wrong("DOB", "INVALID_VALUE", "must not be in the future");
        }
        if let Some(refused) = image_refused.filter(|_| self.image.is_some()) {
            wrong("PtImg", "INVALID_VALUE", refused);
        }
        if let Some(id) = self.provider_id
            && providers::find(conn, id).await?.is_none()
        {
            wrong("ProviderID", "UNKNOWN_PROVIDER", "must be the id of an active provider of the practice");
        }
        let stored = stored.map_or([[None; 3]; 2], |it| {
            [
                [it.state.as_deref(), it.zip.as_deref(), it.country.as_deref()],
                [it.sh_state.as_deref(), it.sh_zip.as_deref(), it.sh_country.as_deref()],
            ]
        });
        for (postal, stored) in self.postal.into_iter().zip(stored) {
            for (name, message) in postal.faults(stored) {
                wrong(name, "INVALID_VALUE", &message);
            }
        }
        match self.read {
            Ok(body) if errors.is_empty() => Ok(body),
            read => {
                let mut all = read.err().unwrap_or_default();
                all.append(errors);
                Err(ApiError::fields(all))
            }
        }
    }
}
