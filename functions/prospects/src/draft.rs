//! The bodies of create and update, and the rules that need more than one field or the practice to judge.

use jiff::civil::Date;
use shared::{
    api::{
        ApiError, ApiResult, FieldError, FieldErrors, FieldProblem, FieldValue, Fields, FromField,
        FromFields, Source,
    },
    body,
    domain::{address, ids::ProviderId},
    patch,
    tenant::{Conn, patients::Details, providers},
};

use crate::{
    fields::{
        Country, FullName, Gender, Kinds, LifeStage, MiddleInitial, Name, PatientEmail, PatientNotes,
        PatientPhone, PostalCode, ProspectFlag, Short, State, Street,
    },
    image::Image,
};

/// Makes both bodies from one list of the fields that may be absent and null.
macro_rules! bodies {
    ($($json:literal => $field:ident : $type:ty),+ $(,)?) => {
        body! {
            /// `FirstName`, `LastName` and one of `EMail`, `Phone` and `CellPhone` are required.
            #[derive(Clone)]
            pub struct CreateProspect {
                "FirstName" => first_name: Name,
                "LastName" => last_name: Name,
                /// The parts of the name, when absent.
                "FullName" => full_name: Option<FullName>,
                "DOB" => dob: Option<Date>,
                /// 1, when absent.
                "Prospect" => prospect: Option<ProspectFlag>,
                $($json => $field: Option<$type>,)+
            }
        }

        patch! {
            /// Absent keeps, null clears. `FirstName`, `LastName` and `Prospect` can't be cleared; `FullName` becomes the
            /// parts of the name.
            #[derive(Clone)]
            pub struct UpdateProspect {
                "FirstName" => first_name: Name,
                "LastName" => last_name: Name,
                "FullName" => full_name: FullName,
                "DOB" => dob: Date,
                "Prospect" => prospect: ProspectFlag,
                $($json => $field: $type,)+
            }
        }

        impl From<CreateProspect> for Details {
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
            /// Makes the changes. A full name that was made of the parts follows them.
            pub(crate) fn apply(self, details: &mut Details) {
                let follows = details.full_name == details.name_of_parts();
                let (mut first, mut last) = (None, None);
                self.first_name.apply(&mut first);
                self.last_name.apply(&mut last);
                details.first_name = first.unwrap_or_else(|| std::mem::take(&mut details.first_name));
                details.last_name = last.unwrap_or_else(|| std::mem::take(&mut details.last_name));
                $(self.$field.apply(&mut details.$field);)+
                let mut dob = details.dob();
                self.dob.apply(&mut dob);
                details.set_dob(dob);
                let mut prospect = Some(ProspectFlag(details.prospect));
                self.prospect.apply(&mut prospect);
                details.prospect = prospect.is_some_and(|flag| flag.0);
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
    "Pronouns" => pronouns: Short,
    "SexualIdentity" => sexual_identity: Short,
    "PrimaryLanguage" => primary_language: Short,
    "Type" => kind: Kinds,
    "Phone" => phone: PatientPhone,
    "CellPhone" => cell_phone: PatientPhone,
    "SMSPhone" => sms_phone: PatientPhone,
    "EMail" => email: PatientEmail,
    "Address" => address: Street,
    "Unit" => unit: Short,
    "City" => city: Name,
    "State" => state: State,
    "Zip" => zip: PostalCode,
    "Country" => country: Country,
    "ProviderID" => provider_id: ProviderId,
    "Sh_Name" => sh_name: Street,
    "Sh_Address" => sh_address: Street,
    "Sh_Unit" => sh_unit: Short,
    "Sh_City" => sh_city: Name,
    "Sh_State" => sh_state: State,
    "Sh_Zip" => sh_zip: PostalCode,
    "Sh_Country" => sh_country: Country,
    "PtImg" => pt_img: Image,
    "Notes" => notes: PatientNotes,
}

/// A body as far as it could be read: what is wrong with it is told only when the practice has been asked too, so that
/// every bad field is named at once.
#[derive(Clone)]
pub(crate) struct Draft<T> {
    read: Result<T, FieldErrors>,
    dob: Option<Date>,
    provider_id: Option<ProviderId>,
    postal: [Postal; 2],
}

/// The parts of an address that are judged together.
#[derive(Clone)]
struct Postal {
    names: [&'static str; 3],
    state: Given<State>,
    zip: Given<PostalCode>,
    country: Given<Country>,
}

/// A field that is looked at once more; what is wrong with it has been noted already.
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
    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// A rule between the fields of one kind of body.
pub(crate) trait Rules: FromFields {
    fn judge(fields: &mut Fields<'_>);
}

impl Rules for CreateProspect {
    fn judge(fields: &mut Fields<'_>) {
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
    fn judge(fields: &mut Fields<'_>) {
        for name in ["FirstName", "LastName", "Prospect"] {
            if matches!(fields.take::<Given<Name>>(name), Some(Given::Null)) {
                fields.note(name, FieldProblem::new("REQUIRED", "can't be cleared"));
            }
        }
    }
}

impl<T: Rules> FromFields for Draft<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let dob = fields.take::<Given<Date>>("DOB")?.value();
        let provider_id = fields.take::<Given<ProviderId>>("ProviderID")?.value();
        let mut postal = |names: [&'static str; 3]| {
            let [state, zip, country] = names;
            let (state, zip, country) = (fields.take(state)?, fields.take(zip)?, fields.take(country)?);
            Some(Postal { names, state, zip, country })
        };
        let postal = [postal(["State", "Zip", "Country"])?, postal(["Sh_State", "Sh_Zip", "Sh_Country"])?];
        Some(Self { read: Err(FieldErrors::default()), dob, provider_id, postal })
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, FieldErrors> {
        let Some(draft) = Self::from_fields(&mut fields) else { return Err(FieldErrors::default()) };
        let read = T::from_fields(&mut fields);
        T::judge(&mut fields);
        Ok(Self { read: fields.finish(read, T::NAMES), ..draft })
    }
}

impl<T> Draft<T> {
    /// The body, if nothing is wrong with it on the practice's day `today` and, for an update, beside what is `stored`.
    ///
    /// # Errors
    /// 422 with every bad field.
    pub(crate) async fn check(self, conn: &mut Conn, today: Date, stored: Option<&Details>) -> ApiResult<T> {
        let mut errors = FieldErrors::default();
        let mut wrong = |name: &str, code, message: &str| {
            errors.push(FieldError { location: format!("body.{name}"), code, message: message.to_owned() });
        };
        if self.dob.is_some_and(|dob| dob > today) {
            wrong("DOB", "INVALID_VALUE", "is in the future");
        }
        if let Some(id) = self.provider_id
            && providers::find(conn, id).await?.is_none()
        {
            wrong("ProviderID", "UNKNOWN_PROVIDER", "is no active provider of the practice");
        }
        let countries = stored.map_or([None, None], |it| [it.country.as_deref(), it.sh_country.as_deref()]);
        for (postal, stored_country) in self.postal.into_iter().zip(countries) {
            let [state_name, zip_name, _] = postal.names;
            let country = match &postal.country {
                Given::Value(country) => Some(String::from(country.clone())),
                Given::Null => None,
                Given::Absent => stored_country.map(str::to_owned),
                // The state and the postal code can't be judged.
                Given::Wrong => continue,
            };
            if let Some(Err(message)) =
                postal.state.value().map(|it| address::check_state(&it.0, country.as_deref()))
            {
                wrong(state_name, "INVALID_VALUE", message);
            }
            if let Some(Err(message)) =
                postal.zip.value().map(|it| address::check_postal_code(&it.0, country.as_deref()))
            {
                wrong(zip_name, "INVALID_VALUE", message);
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
