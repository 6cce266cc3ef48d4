//! Scopes: what an API key permits, and which events it permits to receive.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

// `tt`, not `literal`: utoipa reads serde's names only from bare tokens.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|it| it.as_str() == text).ok_or(())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// What an API key permits, spelled as in the API documentation.
    Scope {
        /// Prospects and tags; granted by default.
        Prospects = "Prospects",
        Providers = "Providers",
        Scheduling = "Scheduling",
        Products = "ProductPro.Products",
        Kb = "KB",
        Tickets = "Tickets",
        /// Permits receiving events of this kind; so do the four below.
        Patients = "Patients",
        Encounters = "Encounters",
        Claims = "Claims",
        Payments = "Payments",
        Documents = "Documents",
    }
}

text_enum! {
    /// A kind of webhook event.
    EventScope {
        Patients = "Patients",
        Encounters = "Encounters",
        Claims = "Claims",
        Payments = "Payments",
        Documents = "Documents",
    }
}

impl EventScope {
    /// Returns the scope that a key needs to receive these events.
    pub fn required(self) -> Scope {
        match self {
            Self::Patients => Scope::Patients,
            Self::Encounters => Scope::Encounters,
            Self::Claims => Scope::Claims,
            Self::Payments => Scope::Payments,
            Self::Documents => Scope::Documents,
        }
    }
}
