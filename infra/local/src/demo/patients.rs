//! Patients and prospects, and their tags. Their search words are indexed afterwards.

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};

use super::data::NAMES;
use super::dice::Dice;
use super::practice::DemoPractice;
use super::rows::{Row, Script, row};

/// The patients' ids, in order of creation.
pub(super) const PATIENTS: std::ops::RangeInclusive<i64> = 1001..=2200;

/// The id of the first tag.
const FIRST_TAG: i64 = 121;

const COLUMNS: &str = "patients (patient_id, first_name, mi, last_name, full_name, nick_name, gender, dob, \
    life_stage, pronouns, primary_language, type, phone, cell_phone, sms_phone, email, address, unit, city, \
    state, zip, country, provider_id, prospect, notes, created_at, updated_at)";

/// What other tables need of a patient.
pub(super) struct Patient {
    pub(super) id: i64,
    pub(super) created_at: Timestamp,
}

/// Writes all patients with their tags.
pub(super) fn write(
    script: &mut Script,
    dice: &mut Dice,
    practice: &DemoPractice,
    now: Timestamp,
    today: Date,
) -> Vec<Patient> {
    let tags = NAMES.tags.iter().zip(FIRST_TAG..);
    let tags: Vec<Row> = tags.map(|(tag, id)| row![id, &tag.name, tag.color.as_deref()]).collect();
    script.insert("tags (tag_id, name, colour)", &tags);

    let (mut patients, mut rows, mut given_tags) = (vec![], vec![], vec![]);
    for id in PATIENTS {
        let person = Person::new(dice, id, today);
        let created_at = joined(dice, id, now);
        rows.push(person.row(dice, practice, created_at));
        given_tags.extend(choose_tags(dice).into_iter().map(|tag| row![id, tag]));
        patients.push(Patient { id, created_at });
    }
    script.insert(COLUMNS, &rows);
    script.insert("patient_tags (patient_id, tag_id)", &given_tags);
    patients
}

/// Returns when a patient joined: over three years, in the order of ids.
fn joined(dice: &mut Dice, id: i64, now: Timestamp) -> Timestamp {
    let hours_each = 3 * 365 * 24 / (PATIENTS.end() - PATIENTS.start() + 1);
    let age = SignedDuration::from_hours((PATIENTS.end() - id + 1) * hours_each)
        - SignedDuration::from_mins(dice.between(0, hours_each * 60 - 1));
    now.saturating_sub(age).unwrap_or(now)
}

fn choose_tags(dice: &mut Dice) -> Vec<i64> {
    let percent = if dice.chance(60) { 10 } else { 0 };
    (FIRST_TAG..).take(NAMES.tags.len()).filter(|_| dice.chance(percent)).collect()
}

struct Person {
    id: i64,
    first: &'static str,
    initial: Option<String>,
    last: &'static str,
    gender: &'static str,
    born: Date,
    age: i64,
    phone: Option<String>,
    cell: String,
    email: Option<String>,
    prospect: bool,
}

impl Person {
    fn new(dice: &mut Dice, id: i64, today: Date) -> Self {
        let gender = match dice.below(100) {
            0..=51 => "f",
            52..=97 => "m",
            98 => "o",
            _ => "u",
        };
        let female = gender == "f" || (gender != "m" && dice.chance(50));
        let first = dice.pick(if female { &NAMES.female } else { &NAMES.male });
        let last = dice.pick(&NAMES.last);
        let initial = dice.chance(40).then(|| char::from(b'A' + dice.below(26).to_le_bytes()[0]).to_string());
        let days = dice.between(30, 90 * 365);
        let number = id - PATIENTS.start();
        let domain = dice.pick(&NAMES.domains);
        let address = format!("{first}.{last}{number}@{domain}").to_lowercase().replace('\'', "");
        // Accents are allowed in email addresses, but rare.
        let email = address.is_ascii().then_some(address).filter(|_| dice.chance(85));
        Self {
            id,
            first,
            initial,
            last,
            gender,
            born: today.saturating_sub(Span::new().days(days)),
            age: days / 365,
            phone: dice.chance(35).then(|| telephone(number + 2000)),
            cell: telephone(number),
            email,
            prospect: dice.chance(18),
        }
    }

    fn full_name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    fn row(&self, dice: &mut Dice, practice: &DemoPractice, created_at: Timestamp) -> Row {
        let (city, state, zip) = practice.place;
        let pronouns = match self.gender {
            "f" => Some("she/her"),
            "m" => Some("he/him"),
            "o" => Some("they/them"),
            _ => None,
        };
        let kind = match (self.prospect, self.age) {
            (true, _) => None,
            (_, ..18) => Some("Child"),
            _ => Some(*dice.pick(&["Patient", "Insurance", "Insurance", "Cash"])),
        };
        row![
            self.id,
            self.first,
            self.initial.clone(),
            self.last,
            self.full_name(),
            None::<&str>,
            self.gender,
            self.born,
            life_stage(self.age),
            pronouns.filter(|_| dice.chance(40)),
            if dice.chance(80) { "English" } else { "Spanish" },
            kind,
            self.phone.clone(),
            &self.cell,
            dice.chance(70).then_some(&self.cell),
            self.email.clone(),
            format!("{} {}", dice.between(1, 980), dice.pick(&NAMES.streets)),
            dice.chance(30).then(|| format!("Apt {}", dice.between(1, 40))),
            city,
            state,
            zip,
            "US",
            (!self.prospect).then(|| dice.between(1, *practice.provider_ids().end())),
            self.prospect,
            (self.prospect && dice.chance(30)).then_some("Asked for prices on the website"),
            created_at,
            created_at,
        ]
    }
}

/// Returns a different telephone number for each `number` below 4,000; consecutive ones differ in
/// area code.
fn telephone(number: i64) -> String {
    let codes = i64::try_from(NAMES.area_codes.len()).unwrap_or(1);
    let code = usize::try_from(number % codes).unwrap_or_default();
    format!("({}) 555-01{:02}", NAMES.area_codes[code], number / codes % 100)
}

fn life_stage(age: i64) -> &'static str {
    match age {
        ..1 => "Infant",
        1..=2 => "Toddler",
        3..=11 => "Child",
        12..=17 => "Adolescent",
        18..=25 => "EarlyAdult",
        26..=64 => "Adult",
        _ => "Senior",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patient_has_a_unique_phone_number() {
        let mut numbers: Vec<String> = (0..4000).map(telephone).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 4000);
    }
}
