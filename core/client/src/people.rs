//! People: whom the server told of, and those first met on this device.

use karwan_proto::ids::PersonId;
use karwan_store::View;

use crate::device::{Device, Inner, locked, random};
use crate::error::ClientError;

/// Longest name of a person that is taken, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

impl Device {
    /// The person of this name or identifier; somebody unknown is met here for the first time, and introduced at the next sync.
    /// Without a name: who uses the device.
    pub fn person_called(&self, name: Option<&str>) -> Result<PersonId, ClientError> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return self.person() };
        if let Some(known) = self.inner.find_person(name)? {
            return Ok(known);
        }
        let name: String = name
            .chars()
            .scan(0, |bytes, character| {
                *bytes += character.len_utf8();
                (*bytes <= NAME_BYTES_MAX).then_some(character)
            })
            .collect();
        let person = PersonId::from_random(random());
        locked(&self.inner.store).write(|batch| batch.put_person(person, &name))?;
        Ok(person)
    }

    /// What a person is called here.
    pub fn person_name(&self, person: PersonId) -> Result<String, ClientError> {
        let store = locked(&self.inner.store);
        name_of(&store.view()?, person)
    }
}

/// A person's name; the identifier where there is none.
pub(crate) fn name_of(view: &View<'_>, person: PersonId) -> Result<String, ClientError> {
    Ok(view.name("person", person.0)?.filter(|name| !name.is_empty()).unwrap_or_else(|| person.to_string()))
}

impl Inner {
    fn find_person(&self, name: &str) -> Result<Option<PersonId>, ClientError> {
        let store = locked(&self.store);
        let view = store.view()?;
        let mut found: Vec<PersonId> = Vec::new();
        for row in view.directory("person")? {
            let id = PersonId(row.id);
            if row.name == name || id.to_string() == name {
                found.push(id);
            }
        }
        if found.is_empty() {
            found.extend(
                view.own_people()?.into_iter().filter(|(id, own)| own == name || id.to_string() == name).map(|(id, _)| id),
            );
        }
        // Who may write here comes before a namesake elsewhere.
        if found.len() > 1 {
            let user = store.identity()?.person;
            if found.contains(&user) {
                return Ok(Some(user));
            }
            return Err(ClientError::SeveralPeople);
        }
        Ok(found.pop())
    }
}
